"""Where trainings keep their checkpoints, and which of these folders stay.

Checkpoints live in ``checkpoints/<fingerprint>/`` of the main repository, not among DVC's
outputs: DVC deletes those before a stage runs. The fingerprint covers data, settings and code,
so a training that was killed goes on if and only if nothing that matters has changed.
"""

import json
import os
import shutil
from pathlib import Path

from pipeline.running.recorder import is_sent
from yolov2.runs.folder import HASHES

CHECKPOINTS = "checkpoints"
RECORDING = "recording"
"""Folder in a training's folder: what the recorder is told (``pipeline/running/recorder.py``)."""
PREVIEW, CURVES = "preview.png", "curves.png"
"""Pictures that the recorder draws into a training's folder."""

KEPT_TRAININGS = 3
"""Finished trainings whose checkpoint folders stay; older ones are removed."""


def checkpoint_root() -> Path:
    """``checkpoints/`` of the main repository, also in DVC's temporary experiment folders."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve() / CHECKPOINTS


def checkpoint_folder(key: str) -> Path:
    """The folder of the training with this fingerprint."""
    return checkpoint_root() / key[:16]


def _is_known(folder: Path) -> bool:
    """Whether MLflow has all of a training; version 0.1 said so in a file of its own."""
    if is_sent(folder / RECORDING):
        return True
    old = folder / "train_run.json"
    return old.exists() and bool(json.loads(old.read_text(encoding="utf-8")).get("logged"))


def recorded_trainings(root: Path) -> list[Path]:
    """Folders below ``root`` of trainings that are finished and in MLflow, the newest first."""
    done = [path.parent for path in root.glob(f"*/{HASHES}")]
    done = [folder for folder in done if _is_known(folder)]
    return sorted(done, key=lambda folder: (folder / HASHES).stat().st_mtime, reverse=True)


def forget_old_trainings(current: Path) -> None:
    """Remove finished trainings but the newest few.

    Unfinished ones may still be resumed, and those that MLflow lacks may still be sent.
    """
    for folder in recorded_trainings(current.parent)[KEPT_TRAININGS:]:
        if folder != current:
            shutil.rmtree(folder)
