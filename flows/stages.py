"""One stage of ``dvc.yaml`` as a child process: its output line by line, its outcome, its error."""

import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Literal

import yaml

from pipeline import leash
from pipeline.stage import TELEMETRY_OFF

LEASH = Path(leash.__file__)
DVC_FILE = Path("dvc.yaml")

Outcome = Literal["ran", "restored", "unchanged"]
"""What DVC did: executed the stage, took its outputs from the run cache, or nothing."""

_KEPT_LINES = 200
"""Last lines of output that are searched for the reason of a failure."""


class StageError(RuntimeError):
    """A command of the pipeline failed; the message ends with what it said last."""


def stage_names(root: Path) -> list[str]:
    """Names of the stages in ``dvc.yaml``, in the order in which they are written there.

    Raises:
        ValueError: ``root`` has no ``dvc.yaml``, or it cannot be read, or it has no stages.
    """
    try:
        document = yaml.safe_load((root / DVC_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"no {DVC_FILE} in {root}: run from the repository's root") from None
    except yaml.YAMLError as error:
        text = " ".join(str(error).split())
        raise ValueError(f"{root / DVC_FILE} cannot be read as YAML: {text}") from None
    stages = document.get("stages") if isinstance(document, Mapping) else None
    if not stages:
        raise ValueError(f"{root / DVC_FILE} has no stages")
    return list(stages)


def reproduce(root: Path, stage: str, emit: Callable[[str], None], lock: int) -> Outcome:
    """Bring one stage up to date, and that stage only; ``emit`` gets each line of its output.

    Single-item, so that a stage can run under no other name than its own, and that an edit of
    ``params.yaml`` during a long training neither reaches back nor trains again: ``dvc.lock``
    records what each stage has read, and the next run picks the edit up. ``--wait-for-lock``,
    because a finished stage would else fail when another DVC command holds the repository's lock.

    Raises:
        StageError: the stage failed.
    """
    dvc = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", stage]
    lines = run(root, f"stage '{stage}'", dvc, emit, lock)
    if any(line == f"Stage '{stage}' didn't change, skipping" for line in lines):
        return "unchanged"
    if any(line.startswith(f"Stage '{stage}' is cached - skipping run") for line in lines):
        return "restored"
    return "ran"


def run(
    root: Path, name: str, command: Sequence[str], emit: Callable[[str], None], lock: int
) -> list[str]:
    """Run ``command`` in ``root`` on a leash and return the last lines of its output.

    ``lock`` is the descriptor of :func:`flows.workspace.sole_pipeline`: the workspace stays
    locked until the command's last process has ended, even if this one is killed.

    Raises:
        StageError: the command's exit status was not 0.
    """
    kept: deque[str] = deque(maxlen=_KEPT_LINES)
    with (
        leashed(command, root=root, environment=stage_environment(), keep=lock) as process,
        TextIOWrapper(_pipe(process), encoding="utf-8", errors="replace", newline="\n") as text,
    ):
        try:
            for line in _lines(text):
                kept.append(line)
                if line:
                    emit(line)
        except BaseException:  # cancelled: what the stage says while it ends is worth keeping,
            process.terminate()  # and a stage that writes into a closed pipe dies of that
            for line in _lines(text):
                emit(line)
            raise
        status = process.wait()
    if status != 0:
        raise StageError(f"{name} failed with exit status {status}: {_reason(kept)}")
    return list(kept)


@contextmanager
def leashed(
    command: Sequence[str],
    *,
    root: Path,
    environment: Mapping[str, str],
    keep: int | None = None,
    log: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start ``command`` under ``pipeline/leash.py``; it is ended with all its children on leaving.

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
