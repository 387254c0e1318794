"""Processes: who writes to a run and still lives, and which call of DVC one belongs to.

DVC names the stage to its command, but not the call. So a process looks upwards for the one that
runs ``dvc``: of ``dvc repro``, or of the experiment that a queue or a temporary folder runs.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

BOOT = Path("/proc/sys/kernel/random/boot_id")
VARIABLE = "PIPELINE_INVOCATION"
"""Environment variable that wins: of a flow, whose stages are calls of DVC of their own."""


def mark(process: int | None = None) -> dict[str, str]:
    """Tags of a run that this process, or the one of that number, writes to."""
    pid = str(process or os.getpid())
    return {"host": os.uname().nodename, "pid": pid, "pid.started": started(pid) or ""}


def is_here(tags: Mapping[str, str]) -> bool:
    """Whether the run's process was one of this machine: of others nothing can be seen."""
    return tags.get("host") == os.uname().nodename


def is_alive(tags: Mapping[str, str]) -> bool:
    """Whether the process that marked a run with ``tags`` lives, on this machine.

    A number is given again, after a restart of the machine at the latest; so the moment at which
    the process was started must be the same, where the system tells it (Linux).
    """
    pid = tags.get("pid", "")
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, and belongs to somebody else
        pass
    now, then = started(pid), tags.get("pid.started")
    return now is None or (now != "" and (not then or now == then))


def started(pid: str) -> str | None:
    """When a process was started; empty when it is dead, None where the system does not tell."""
    if not BOOT.exists():
        return None
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *numbers = stat.rpartition(")")[2].split()  # its name, in brackets, may hold anything
    # proc(5): field 3 is the state, field 22 the start in clock ticks since the machine's
    return "" if state in "ZX" else f"{BOOT.read_text().strip()} {numbers[18]}"


def current_invocation() -> str | None:
    """16 hex digits of the call of DVC that this process belongs to; None outside DVC.

    Two stages of one call have the same. A call's process number is given again one day, so
    machine and start count too.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return given
    for above in psutil.Process().parents():
        try:
            command = above.cmdline()
        except psutil.Error:  # it has ended, or is somebody else's
            continue
        if is_dvc(command):
            content = f"{os.uname().nodename} {above.pid} {started(str(above.pid))}"
            return hashlib.sha256(content.encode()).hexdigest()[:16]
    return None


def is_dvc(command: Sequence[str]) -> bool:
    """Whether a command line is DVC's: ``dvc repro``, ``python .../dvc repro``, ``python -m dvc``.

    Not that of a shell, which has the words ``dvc repro`` in one argument.
    """
    if not command:
        return False
    program, *rest = command
    if Path(program).name == "dvc":
        return True
    while rest and rest[0].startswith("-") and rest[0] != "-m":  # python -X dev -m dvc
        rest = rest[2:] if rest[0] in ("-X", "-W") else rest[1:]
    if rest[:1] == ["-m"]:
        return rest[1:2] == ["dvc"]
    return Path(program).name.startswith("python") and Path((rest or [""])[0]).name == "dvc"
