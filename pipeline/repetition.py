"""The pipeline of a past tree, run again from its data to its exported files."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path

from pipeline import leash, store_address
from pipeline.identity import REPRODUCES
from pipeline.stage import TELEMETRY_OFF

TARGETS = ("export", "evaluate", "train")
"""The last stage of the pipeline: the first of these that the tree has."""

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
_EDGE = re.compile(r'^\s*"(?P<before>[^"]+)"(?:\s*->\s*"(?P<after>[^"]+)")?;', re.MULTILINE)


def environment_of(tree: Path, run_id: str) -> dict[str, str]:
    """What a stage in ``tree`` sees: its own code first, the same store, what it repeats."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {
        **TELEMETRY_OFF,
        **kept,
        "PATH": tools,
        "PYTHONPATH": str(tree),
        "PYTHONUNBUFFERED": "1",
        "DVC_NO_ANALYTICS": "1",
        "MLFLOW_TRACKING_URI": store_address.tracking_uri(),
        REPRODUCES: run_id,
    }


def require_own_code(tree: Path, environment: Mapping[str, str]) -> str:
    """Where a stage in ``tree`` takes ``pipeline`` and ``yolov2`` from, which must be there.

    This project may be installed as editable from elsewhere, and would then be what runs.

    Raises:
        ValueError: other code would run.
    """
    ask = "import pipeline, yolov2; print(pipeline.__file__, yolov2.__file__, sep='\\n')"
    said = _output([sys.executable, "-c", ask], tree, environment).split("\n")
    places = [Path(line).resolve() for line in said if line]
    if not all(place.is_relative_to(tree.resolve()) for place in places):
        raise ValueError(f"not the run's own code would run, but that in {places[0].parent.parent}")
    return f"code: {places[0].parent}, {places[-1].parent}"


def stages_of(tree: Path, environment: Mapping[str, str]) -> list[str]:
    """The stages that lead to the last one of ``TARGETS``, in order; no ``.dvc`` files."""
    listed = _dvc(tree, environment, "stage", "list", "--name-only").split()
    target = next((name for name in TARGETS if name in listed), None)
    if target is None:
        raise ValueError(f"the run's dvc.yaml has none of the stages {', '.join(TARGETS)}")
    order: TopologicalSorter[str] = TopologicalSorter()
    for edge in _EDGE.finditer(_dvc(tree, environment, "dag", "--dot", target)):
        if edge["after"]:
            order.add(edge["after"], edge["before"])
        else:
            order.add(edge["before"])
    return [name for name in order.static_order() if name in listed]


def run_again(tree: Path, stages: list[str], environment: Mapping[str, str]) -> None:
    """Execute ``stages`` whatever DVC has of them; their output goes where ours does.

    Each by itself, because with ``--force`` the stages before would include imports of data, and
    without a commit, so that no later ``dvc repro`` restores the repetition for the original.

    Raises:
        ValueError: a stage failed; it has said why.
    """
    dvc = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro"]
    options = ["--force", "--no-commit", "--single-item"]
    process = subprocess.Popen(
        [sys.executable, leash.__file__, *dvc, *options, *stages],
        cwd=tree,
        env=dict(environment),
        stdin=subprocess.PIPE,  # our death closes it, and the leash then ends the stages
        start_new_session=True,
    )
    with process:
        try:
            status = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if status != 0:
        raise ValueError(
            f"the repetition ended with exit status {status}: see its output above; with --keep"
            " its folder stays, to look into"
        )


def cache_of(root: Path, environment: Mapping[str, str]) -> Path:
    """DVC's cache of the repository."""
    return Path(_dvc(root, environment, "cache", "dir").strip())


def _dvc(folder: Path, environment: Mapping[str, str], *arguments: str) -> str:
    return _output([sys.executable, "-m", "dvc", *arguments], folder, environment)


def _output(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=dict(environment), capture_output=True, text=True
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise ValueError(f"`{' '.join(command[1:5])}` in {folder} failed: {said[-1]}")
    return done.stdout
