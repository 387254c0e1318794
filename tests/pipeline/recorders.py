"""The programs that record, seen and ended from a test; and a store that is away for a while."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil


def until(condition: Callable[[], object], seconds: float = 240.0) -> None:
    """Wait until ``condition`` holds; it has to."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def recorder_of(process: int, program: str = "follow") -> psutil.Process | None:
    """The recorder that a stage, or this test, has started; None before and after."""
    for child in psutil.Process(process).children():
        try:
            if f"pipeline.tracking.{program}" in child.cmdline():
                return child
        except psutil.Error:  # it has just ended
            continue
    return None


def kill_recorder(process: int, program: str = "follow") -> None:
    """End the recorder of a process without a word; what it held is free then."""
    recorder = recorder_of(process, program)
    if recorder is not None:
        recorder.kill()
        until(lambda: not recorder.is_running() or recorder.status() == psutil.STATUS_ZOMBIE)


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Inside, nobody else can read or write a sqlite store: to MLflow it does not answer."""
    with closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as opened:
        opened.execute("BEGIN EXCLUSIVE")
        yield
        opened.execute("ROLLBACK")
