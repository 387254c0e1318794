"""``dvc add``, and one ``pipeline data add`` at a time."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.workspace.dvc import attempt, complaint

LOCK = Path(".dvc/tmp/data-add.lock")


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other ``add`` runs in this repository; the lock falls with its process."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print("waiting for another `pipeline data add` to end", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def version(path: Path) -> None:
    """Let DVC keep what is in ``path``, a folder of the current repository.

    Raises:
        ValueError: DVC's own words.
    """
    name = os.path.relpath(path)
    done = attempt(Path(), os.environ, "--wait-for-lock", "add", name)
    if done.returncode != 0:
        raise ValueError(f"`dvc add {name}` failed: {complaint(done)}")
