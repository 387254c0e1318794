"""``dvc add``, and one ``pipeline data add`` at a time."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

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
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "add", name]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip() or "no reason given"
        raise ValueError(f"`dvc add {name}` failed: {said}")
