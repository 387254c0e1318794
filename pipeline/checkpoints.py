"""Where trainings keep their checkpoints, and which of these folders stay.

Checkpoints live in ``checkpoints/<fingerprint>/`` of the main repository, not among DVC's
outputs: DVC deletes those before a stage runs. The fingerprint covers data, settings and code,
so a training that was killed goes on if and only if nothing that matters has changed.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path

from ruamel.yaml import YAML

RUN = "train_run.json"
"""The training's MLflow run: its id, its model's, the parameters."""
LOGGED = {"logged": True}
"""What ``RUN`` also says once the run has everything and was closed."""

KEPT_TRAININGS = 3
"""Finished trainings whose checkpoint folders stay; older ones are removed."""


def code_version(dvc_file: Path = Path("dvc.yaml")) -> str:
    """sha256 over the ``.py`` files that the stage depends on, as ``dvc.yaml`` lists them."""
    stage = YAML(typ="safe").load(dvc_file.read_text(encoding="utf-8"))["stages"]["train"]
    digest = hashlib.sha256()
    for name in sorted(name for name in stage["deps"] if name.endswith(".py")):
        digest.update(name.encode() + b"\0" + Path(name).read_bytes())
    return digest.hexdigest()


def checkpoint_root() -> Path:
    """``checkpoints/`` of the main repository, also in DVC's temporary experiment folders."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve() / "checkpoints"


def logged(folder: Path) -> bool:
    """Whether MLflow has all of a finished training: a kill, or an outage, may come between."""
    file = folder / RUN
    return file.exists() and LOGGED.items() <= json.loads(file.read_text(encoding="utf-8")).items()


def forget_old_trainings(current: Path) -> None:
    """Remove finished trainings but the newest few.

    Unfinished ones may still be resumed, and those that MLflow lacks may still be sent.
    """
    done = [path.parent for path in current.parent.glob("*/hashes.json")]
    done = [folder for folder in done if logged(folder)]
    done.sort(key=lambda folder: (folder / "hashes.json").stat().st_mtime, reverse=True)
    for folder in done[KEPT_TRAININGS:]:
        if folder != current:
            shutil.rmtree(folder)
