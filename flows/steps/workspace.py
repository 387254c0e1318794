"""One pipeline at a time in a working copy.

DVC's own locks do not do this: a second ``dvc repro`` may run between two stages of the first,
and where they meet, one of them fails and its finished training with it.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

LOCK = Path(".dvc/tmp/pipeline.lock")
"""Locked while a flow works in the folder; holds the number of the flow's process."""

_POLL_SECONDS = 1.0
_LOOK_SECONDS = 0.01


class WorkspaceBusyError(ValueError):
    """Another pipeline works in this folder."""


@contextmanager
def sole_pipeline(
    root: Path, *, wait: bool = False, tell: Callable[[str], None] = print
) -> Iterator[int]:
    """Keep other flows out of ``root`` while the block runs; yields the lock's file descriptor.

    A child process that inherits the descriptor keeps the lock after this process has died, so
    that nobody starts beside a stage that is still being ended. With ``wait`` a folder that is
    busy is waited for, after ``tell`` was told once who is at work.

    Raises:
        WorkspaceBusyError: another process holds the lock; the message has its number.
    """
    path = root / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="ascii") as file:
        told = False
        while not _locked(file):
            if not _held(file):  # it was only looked at, or has just become free
                time.sleep(_LOOK_SECONDS)
                continue
            file.seek(0)
            reason = _busy(root, file.read().strip())
            if not wait:
                raise WorkspaceBusyError(reason)
            if not told:
                tell(f"waiting: {reason}")
                told = True
            time.sleep(_POLL_SECONDS)  # not a blocking lock: a signal has to get through
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield file.fileno()
        finally:
            file.truncate(0)


def in_use(root: Path) -> bool:
    """Whether a pipeline works in ``root``; a look that hinders none, nor one that starts now."""
    try:
        with (root / LOCK).open(encoding="ascii") as file:
            return _held(file)
    except FileNotFoundError:
        return False


@contextmanager
def one_of_several(root: Path, name: str) -> Iterator[bool]:
    """Be counted while the block runs; yields whether nobody else of this ``name`` was there."""
    path = root / LOCK.with_name(f"{name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        first = _locked(file)
        fcntl.flock(file, fcntl.LOCK_SH)
        yield first


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _held(file: IO[str]) -> bool:
    """Whether somebody holds the lock for itself.

    Asked by sharing it for a moment, since a look can share it with other looks, but not with a
    holder. /proc/locks would be quieter, but in a container it is silent about a holder that was
    killed and whose child still has the lock.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def _busy(root: Path, holder: str) -> str:
    if holder and Path("/proc").is_dir() and not Path("/proc", holder).exists():
        return (
            f"a pipeline run of {root} was killed and its last stage is still being ended:"
            " try again in half a minute"
        )
    number = holder or "unknown"
    return (
        f"another pipeline run (process {number}) is at work in {root}:"
        f" wait for its end, or stop it with `kill {number}`"
    )
