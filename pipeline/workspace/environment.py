"""Stages in a folder of their own: what they see, and that it is their own code that runs."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.running.entry import TELEMETRY_OFF
from pipeline.workspace.dvc import output
from pipeline.workspace.identity import REPRODUCES

_OURS = (
    "DVC_ROOT",
    "DVC_STAGE",
    "DVC_EXP_",
    "MLFLOW_RUN_ID",
    "PREFECT__",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
)


def environment_of(tree: Path, store: str, run_id: str = "") -> dict[str, str]:
    """What a stage in ``tree`` sees: its own code first, the store's address, what it repeats."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {
        **TELEMETRY_OFF,
        **kept,
        "PATH": tools,
        "PYTHONPATH": str(tree),
        "PYTHONUNBUFFERED": "1",
        "DVC_NO_ANALYTICS": "1",
        "MLFLOW_TRACKING_URI": store,
        REPRODUCES: run_id,
    }


def require_own_code(tree: Path, environment: Mapping[str, str]) -> str:
    """Where a stage in ``tree`` takes ``pipeline`` and ``yolov2`` from, which must be there.

    This project may be installed as editable from elsewhere, and would then be what runs.

    Raises:
        ValueError: other code would run.
    """
    ask = "import pipeline, yolov2; print(pipeline.__file__, yolov2.__file__, sep='\\n')"
    said = output([sys.executable, "-c", ask], tree, environment).split("\n")
    places = [Path(line).resolve() for line in said if line]
    if not all(place.is_relative_to(tree.resolve()) for place in places):
        raise ValueError(f"not the run's own code would run, but that in {places[0].parent.parent}")
    return f"code: {places[0].parent}, {places[-1].parent}"
