"""How much memory and disk there is for decoded images."""

import shutil
from collections.abc import Sequence
from pathlib import Path

SHARE = 0.9
"""Share of the free memory or disk that decoded images may take."""

MEMORY = Path("/proc/meminfo")
CONTAINER = Path("/sys/fs/cgroup")
"""Where Linux says how much memory there is, and how much of it this container may take."""


class CacheError(ValueError):
    """Decoded images cannot be kept as asked; the text says why and what to do."""


def decoded_bytes(sizes: Sequence[tuple[int, int]]) -> int:
    """Bytes of images of (height, width) pixels, decoded."""
    return sum(height * width * 3 for height, width in sizes)


def require_memory(needed: int) -> None:
    """Raise ``CacheError`` unless ``needed`` bytes of memory are free."""
    free = free_memory()
    if free is not None and needed > SHARE * free:
        raise CacheError(
            f"cache: ram needs {gib(needed)} for the decoded images, of {gib(free)} free"
            " memory: use cache: disk or none, or smaller images"
        )


def require_disk(needed: int, folder: Path) -> None:
    """Raise ``CacheError`` unless ``needed`` bytes are free in ``folder``."""
    free = shutil.disk_usage(folder).free
    if needed > SHARE * free:
        raise CacheError(
            f"cache: disk needs {gib(needed)} for the decoded images, of {gib(free)} free in"
            f" {folder}: use another folder, cache: ram or none, or smaller images"
        )


def free_memory() -> int | None:
    """Bytes of memory that this process may still take; ``None`` where that cannot be told."""
    try:
        lines = dict(line.split(":", 1) for line in MEMORY.read_text("utf-8").splitlines())
        free = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
    try:
        limit = int((CONTAINER / "memory.max").read_text("utf-8"))
        used = int((CONTAINER / "memory.current").read_text("utf-8"))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return free
    return min(free, limit - used)


def gib(size: int) -> str:
    """``size`` bytes for people, in GiB."""
    return f"{size / 2**30:.1f} GiB"
