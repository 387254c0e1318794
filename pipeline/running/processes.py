"""Which process writes to a run, told so that another one can see whether it still lives."""

import os
from collections.abc import Mapping
from pathlib import Path

BOOT = Path("/proc/sys/kernel/random/boot_id")


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
