"""Which call of DVC a process belongs to: two stages of one call have the same id.

DVC names the stage to its command, but not the call. So a process looks upwards for the one that
runs ``dvc``: of ``dvc repro``, or of the experiment that a queue or a temporary folder runs.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.running import processes

VARIABLE = "PIPELINE_INVOCATION"
"""Environment variable that wins: of a flow, whose stages are calls of their own."""

PROC = Path("/proc")


def current_invocation() -> str | None:
    """16 hex digits of the call; None outside DVC, or where the system does not tell (no Linux).

    A call's process number is given again one day, so machine and start count too.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return given
    for pid in _ancestors(str(os.getpid())):
        if is_dvc(_command(pid)):
            content = f"{os.uname().nodename} {pid} {processes.started(pid)}"
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


def _ancestors(pid: str) -> Iterator[str]:
    """The process's parent, its parent, and so on."""
    while True:
        try:
            stat = (PROC / pid / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return
        pid = stat.rpartition(")")[2].split()[1]  # proc(5): after the name the state, the parent
        if pid == "0":
            return
        yield pid


def _command(pid: str) -> list[str]:
    try:
        text = (PROC / pid / "cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rstrip("\0").split("\0")
