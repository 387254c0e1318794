"""A command of the pipeline as a child process: output line by line, its end, its error."""

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import IO

from pipeline.running import leash
from pipeline.running.entry import TELEMETRY_OFF
from pipeline.running.failure import TRY_AGAIN, Kind

LEASH = Path(leash.__file__)

_KEPT_LINES = 200
"""Last lines of output that are searched for the reason of a failure."""


class StageError(RuntimeError):
    """A command of the pipeline failed; the message ends with what it said last.

    ``kind`` is one of ``pipeline/running/failure.py``'s, ``status`` the exit status.
    """

    def __init__(self, message: str, *, kind: Kind = "mistake", status: int = 1) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.status = status

    @property
    def passing(self) -> bool:
        """Whether another try makes sense."""
        return self.kind in TRY_AGAIN


@dataclass(frozen=True, kw_only=True)
class Ended:
    """Exit status and last lines of a command."""

    status: int
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """Where commands run: the folder, its lock's file descriptor, who gets each line of output.

    The folder stays locked until the last process that has inherited ``lock`` (from
    :func:`flows.steps.workspace.sole_pipeline`) has ended, even if this one is killed.
    ``limit_seconds`` is the longest that a command may take (0: no limit). With ``pull`` results
    that the DVC remote has are fetched rather than made again.
    """

    root: Path
    lock: int
    emit: Callable[[str], None]
    limit_seconds: float = 0.0
    pull: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


def run(place: Workplace, name: str, command: Sequence[str], accept: Sequence[int] = (0,)) -> Ended:
    """Run ``command`` on a leash; its exit status is one of ``accept``.

    Raises:
        StageError: it was another status, or the time was up.
    """
    kept: deque[str] = deque(maxlen=_KEPT_LINES)
    environment = {**stage_environment(), **place.environment}
    with (
        leashed(command, root=place.root, environment=environment, keep=place.lock) as process,
        TextIOWrapper(_pipe(process), encoding="utf-8", errors="replace", newline="\n") as text,
        _time_limit(process, place.limit_seconds) as expired,
    ):
        try:
            for line in _lines(text):
                kept.append(line)
                if line:
                    place.emit(line)
        except BaseException:  # cancelled: what the stage says while it ends is worth keeping,
            process.terminate()  # and a stage that writes into a closed pipe dies of that
            for line in _lines(text):
                place.emit(line)
            raise
        status = process.wait()
    if expired.is_set():
        hours = place.limit_seconds / 3600
        raise StageError(
            f"{name} took longer than {hours:g} hours and was ended: see flows.stage_hours",
            kind="stopped",
            status=status,
        )
    if status not in accept:
        raise StageError(f"{name} failed with exit status {status}: {_reason(kept)}", status=status)
    return Ended(status=status, lines=tuple(kept))


@contextmanager
def _time_limit(process: subprocess.Popen[bytes], seconds: float) -> Iterator[threading.Event]:
    """End ``process`` after ``seconds``; the event tells that it was."""
    expired = threading.Event()

    def end() -> None:
        expired.set()
        process.terminate()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    if seconds > 0:
        timer.start()
    try:
        yield expired
    finally:
        timer.cancel()


@contextmanager
def leashed(
    command: Sequence[str],
    *,
    root: Path,
    environment: Mapping[str, str],
    keep: int | None = None,
    log: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start ``command`` on a leash (``pipeline/running/leash.py``): it ends with all its children.

    Output goes to the file ``log``, or to the process's ``stdout`` pipe.
    """
    target: int | IO[bytes] = log.open("wb") if log else subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, str(LEASH), *command],
        cwd=root,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=target,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=[] if keep is None else [keep],
    )
    if not isinstance(target, int):
        target.close()
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.communicate()


def stage_environment() -> dict[str, str]:
    """Environment of a stage: this Python first on the path, no telemetry, nothing of Prefect's.

    DVC runs ``python`` from the path. Prefect's private variables would make a Prefect client
    inside a stage believe that it is the flow.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT__")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**TELEMETRY_OFF, **kept, "PATH": path, "PYTHONUNBUFFERED": "1"}


def _pipe(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout


def _lines(text: TextIOWrapper) -> Iterator[str]:
    """Lines without their ends; of one that carriage returns overwrote, the last state."""
    for line in text:
        states = [state.rstrip() for state in line.split("\r")]
        yield next((state for state in reversed(states) if state), "")


def _reason(lines: Sequence[str]) -> str:
    """The stage's own ``error:`` line, else the last line before DVC's verdict, else the verdict.

    A failing stage says what is wrong and what to do; DVC adds only that the command failed.
    """
    said = [line for line in lines if line.strip()]
    errors = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
    verdicts = [i for i, line in enumerate(said) if line.startswith("ERROR: ")]
    if errors:
        return errors[-1]
    if verdicts and "failed to run: " in said[verdicts[0]] and verdicts[0] > 0:
        return said[verdicts[0] - 1]
    if verdicts:
        return said[verdicts[-1]].removeprefix("ERROR: ")
    return said[-1] if said else "no output"
