"""Watching a flow program in a working copy, and looking at what it leaves behind."""

import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil


def wait_for(condition: Callable[[], bool], seconds: float, workspace: Path) -> None:
    """Return when ``condition`` holds; fail with the program's output after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain:\n{output(workspace)[-4000:]}")
        time.sleep(0.25)


def hanging(workspace: Path) -> bool:
    """Whether the stage that hangs has said so, in the file ``hanging.txt``."""
    file = workspace / "hanging.txt"
    return file.exists() and bool(file.read_text())


def output(workspace: Path) -> str:
    return (workspace / "output.log").read_text()


def recorded(workspace: Path, query: str) -> list[tuple[object, ...]]:
    """Rows of Prefect's database in the working copy."""
    with sqlite3.connect(workspace / ".prefect" / "prefect.db") as database:
        rows = database.execute(query).fetchall()
    database.close()
    return rows


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """All processes below ``process``."""
    return psutil.Process(process.pid).children(recursive=True)


def survivors(processes: list[psutil.Process], seconds: float) -> list[str]:
    """Command lines of those that have not ended after ``seconds``."""
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return [" ".join(process.cmdline()) for process in alive]
