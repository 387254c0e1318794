"""What a stage that failed leaves for whoever has to decide whether to try it again.

DVC ends with status 255 whatever happened. So a stage that DVC starts keeps a small record in
``.dvc/tmp/failures``, outside DVC's outputs: written when it starts, completed when it fails,
removed when it ends well. A stage that was killed could not complete it, which is told as well.
"""

import errno
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from yolov2.termination import Terminated

FOLDER = Path(".dvc/tmp/failures")

Kind = Literal["passing", "cut off", "stopped", "disk full", "input", "mistake"]
"""Why: something that may be over in a minute (a server away), a death without a word (killed,
out of memory), somebody's wish, no room, what a person must change, or a mistake of ours."""

TRY_AGAIN: frozenset[Kind] = frozenset({"passing", "cut off"})

_FULL = {errno.ENOSPC, errno.EDQUOT}
_PASSING = {
    errno.ESTALE,
    errno.EAGAIN,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
}


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why ``stage`` did not end well; ``at`` is in seconds since the epoch."""

    stage: str
    kind: Kind
    message: str
    at: float


def begin(stage: str) -> None:
    """Say that ``stage`` works; called by its process before anything else."""
    text = f"stage {stage} ended without a word: killed, or out of memory?"
    _write(Failure(stage=stage, kind="cut off", message=text, at=time.time()))


def clear(stage: str, root: Path = Path()) -> None:
    """Remove what ``stage`` has left behind."""
    (root / FOLDER / f"{stage}.json").unlink(missing_ok=True)


def note(stage: str, error: BaseException) -> None:
    """Write down why ``stage`` fails; of several processes' reasons the first one stays."""
    known = read(stage)
    kind = kind_of(error)
    if known is not None and known.kind != "cut off" and kind == "stopped":
        return  # the other processes of a training are stopped because one has failed
    text = str(error).strip() or type(error).__name__
    _write(Failure(stage=stage, kind=kind, message=text, at=time.time()))


def read(stage: str, root: Path = Path()) -> Failure | None:
    """What ``stage`` has left behind; None after a good end, or if it never started."""
    try:
        return Failure(**json.loads((root / FOLDER / f"{stage}.json").read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def kind_of(error: BaseException) -> Kind:
    """What kind of failure an exception is, by itself or by what has caused it."""
    chain = _chain(error)
    if any(isinstance(cause, KeyboardInterrupt | Terminated) for cause in chain):
        return "stopped"
    if any(isinstance(cause, OSError) and cause.errno in _FULL for cause in chain):
        return "disk full"
    if any(_is_passing(cause) for cause in chain):
        return "passing"
    return "input" if isinstance(error, ValueError | OSError) else "mistake"


def _is_passing(error: BaseException) -> bool:
    if getattr(error, "passing", False):  # it says so itself: a server that did not answer
        return True
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return isinstance(error, OSError) and error.errno in _PASSING


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__
    return found


def _write(failure: Failure) -> None:
    path = FOLDER / f"{failure.stage}.json"
    partial = path.with_suffix(f".{os.getpid()}")
    text = json.dumps(asdict(failure))
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError:  # no room, say: what ``begin`` wrote has some, and the reason is printed anyway
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        with suppress(OSError), path.open("r+", encoding="utf-8") as file:
            file.write(text)
            file.truncate()
