"""Runs one command so that nothing of it outlives the process that asked for it.

    python pipeline/running/leash.py COMMAND [ARGUMENT ...]

The command gets a process group of its own. The group is ended (SIGTERM, a grace period,
SIGKILL) when the leash is told to stop by SIGTERM, SIGINT or SIGHUP, or when its standard input
closes. The caller holds the other end of that pipe, so its death closes it however it came about:
SIGKILL of a flow ends its training, and a killed ``dvc`` does not leave the stage it had started.
What a finished command leaves running in its group is ended as well. Its output is passed on, and
swallowed once nobody listens: a training that says goodbye into a closed pipe would die of that
before it has written its checkpoint.

This file is run by its path and imports the standard library only: it is started for every stage.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import IO

GRACE_VARIABLE = "LEASH_GRACE_SECONDS"
"""Environment variable: seconds between SIGTERM and SIGKILL."""

GRACE_SECONDS = 30.0
"""Default of ``LEASH_GRACE_SECONDS``: enough for a training to write its checkpoint."""

_POLL_SECONDS = 0.05
_OUTPUT_SECONDS = 5.0  # for a process that has left the group and keeps the pipe open
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Make this process the parent of descendants whose own parent dies (Linux only).

    ``dvc`` dies of SIGTERM at once while the stage it started still writes its checkpoint. Unless
    the stage then becomes our child, whether it has ended can be asked only of ``init``, which in
    many containers never reaps.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with(parent: int) -> None:
    """Have this process killed when the process ``parent``, which started it, ends.

    Killed, because there is nobody left to report to; what it runs on a leash ends in good order.
    Linux only; elsewhere, or when this process has another parent, nothing is done.
    """
    if sys.platform == "linux" and os.getppid() == parent:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def group_lives(group: int) -> bool:
    """Whether a process of ``group`` still exists; reaps those of them that are our children."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def end_group(group: int, grace_seconds: float) -> None:
    """SIGTERM to ``group``, and SIGKILL to what is left of it after ``grace_seconds``."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(group, number)
        deadline = time.monotonic() + grace_seconds
        while group_lives(group):
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)
        else:
            return


def _stop_when_caller_dies() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _pass_on(source: IO[bytes]) -> None:
    listened = True
    while chunk := os.read(source.fileno(), 65536):
        while listened and chunk:
            try:
                chunk = chunk[os.write(1, chunk) :]
            except OSError:
                listened = False


def hold(command: list[str], grace_seconds: float) -> int:
    """Run ``command`` to its end and return its exit status, 128 + signal where a signal ended it.

    Raises ``OSError`` when it cannot be started.
    """
    stops: list[int] = []
    # Recorded, not raised: an exception inside Popen would lose the child that it had just forked.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: stops.append(received))
    adopt_orphans()
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
    )
    assert child.stdout is not None
    output = threading.Thread(target=_pass_on, args=[child.stdout], daemon=True)
    output.start()
    threading.Thread(target=_stop_when_caller_dies, daemon=True).start()
    while (status := child.poll()) is None and not stops:
        time.sleep(_POLL_SECONDS)
    end_group(child.pid, grace_seconds)
    output.join(_OUTPUT_SECONDS)
    if status is None:
        return 128 + stops[0]
    return status if status >= 0 else 128 - status


def main() -> int:
    """Hold the command of the command line; 127 when it cannot be started."""
    try:
        return hold(sys.argv[1:], float(os.environ.get(GRACE_VARIABLE, GRACE_SECONDS)))
    except OSError as error:
        print(f"error: cannot start {sys.argv[1]!r}: {error.strerror}", file=sys.stderr)
        return 127


if __name__ == "__main__":
    sys.exit(main())
