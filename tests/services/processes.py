"""Server programs on loopback: started, waited for, ended with everything below them."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import psutil

HOST = "127.0.0.1"
START_SECONDS = 180.0
STOP_SECONDS = 30.0

T = TypeVar("T")


@contextmanager
def running(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    ready: Callable[[], bool],
    cwd: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """``command`` while the block runs, from the moment when ``ready`` holds; output in ``log``.

    In the end it and all its descendants are gone: asked by SIGTERM, then killed.
    """
    with log.open("ab") as file:
        process = subprocess.Popen(
            command,
            cwd=cwd or log.parent,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        wait_for(lambda: process.poll() is not None or ready(), START_SECONDS, log)
        if process.poll() is not None:
            raise AssertionError(f"{command} ended with {process.returncode}:\n{tail(log)}")
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End ``process`` and all its descendants, also those that have left its group."""
    family: list[psutil.Process] = []
    if process.poll() is None:
        family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    _, alive = psutil.wait_procs(family, timeout=10)
    for one in alive:
        one.kill()
    psutil.wait_procs(alive, timeout=10)


def module(name: str, *arguments: str) -> list[str]:
    """Command line of ``python -m name argument ...``."""
    return [sys.executable, "-m", name, *arguments]


def answers(address: str) -> Callable[[], bool]:
    """Whether something answers at ``address``; 401 is an answer too."""

    def asked() -> bool:
        try:
            with urlopen(address, timeout=2):
                return True
        except HTTPError as error:
            return error.code == 401
        except (URLError, OSError):
            return False

    return asked


def wait_for(condition: Callable[[], T], seconds: float, log: Path) -> T:
    """What ``condition`` returns as soon as it is true; fails with the log's end."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain:\n{tail(log)}")
        time.sleep(0.25)


def tail(log: Path) -> str:
    """The last of what a program has written."""
    return log.read_text(errors="replace")[-4000:] if log.exists() else ""
