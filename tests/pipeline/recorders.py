"""The programs that record, seen and ended from a test; and a store that is away for a while."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from pipeline.running import processes, recorder
from tests.pipeline.tracked import identity
from yolov2.files import write_json


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


def leave_evaluation_unrecorded(
    training: Mapping[str, Any], parameters: Mapping[str, Any], files: Path | None = None
) -> Path:
    """The recording of an evaluation that has ended while the store was away; its folder.

    ``files`` is a folder with its tables.
    """
    folder = recorder.new_folder("evaluate")
    if files is not None:
        shutil.copytree(files, folder / recorder.FILES)
    who = {"identity": asdict(identity()), "process": processes.mark(os.getpid())}
    about = {"id": "waits", "began": 1.0, "stage": "evaluate", "parameters": dict(parameters)}
    write_json(folder / recorder.START, about | who)
    result = {"training": dict(training), "metrics": {"AP": 0.5}, "digest": "e" * 64}
    write_json(folder / recorder.RESULT, result)
    write_json(folder / recorder.ENDED, {"status": "FINISHED"})
    return folder


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Inside, nobody else can read or write a sqlite store: to MLflow it does not answer."""
    with closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as opened:
        opened.execute("BEGIN EXCLUSIVE")
        yield
        opened.execute("ROLLBACK")
