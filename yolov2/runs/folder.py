"""The folder that a training leaves: the names of its files, and its lock.

Without torch, for programs that only tell of trainings. ``pipeline track import FOLDER`` makes an
MLflow run of it, so that a training on a machine without MLflow is tracked like any other.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BEST = "best.pt"
LAST = "last.pt"
HISTORY = "history.csv"
STEPS = "steps.csv"
SPEED = "speed.csv"
PARAMETERS = "parameters.json"
ENVIRONMENT = "environment.json"
HASHES = "hashes.json"
METRICS = "metrics.json"
EVALUATION = "evaluation.json"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold ``folder`` alone: two trainings must not write the same checkpoints.

    The lock dies with its process, however it ends.

    Raises:
        ValueError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+") as file:
        try:
            # not flock, which forked loader workers would inherit and hold for seconds after
            # their trainer was killed
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise ValueError(
                f"another training (process {holder}) is writing to {folder}: wait for it or end"
                f" it with `kill {holder}`"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
