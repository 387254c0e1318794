"""Files written so that a reader sees the old or the new one, and by what they are known again."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STREAMS = ("/dev", "/dev/fd", "/proc/self/fd")
"""Folders of devices and open files: ``/dev/stdout``."""


def write_text(path: Path, text: str) -> None:
    """Write ``path`` through a temporary file beside it: a reader sees the old or the new.

    If that fails the old one stays, and nothing is left of the new one.
    """
    _write(path, text.encode())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """``content`` as readable JSON, atomically; names of files that are not UTF-8 survive."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    # half a surrogate pair, which is what such a byte is in Python, becomes JSON's own \udc80
    _write(path, text.encode(errors="backslashreplace"))


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, content: bytes) -> None:
    if str(path.absolute().parent) in STREAMS or path.is_fifo():
        with path.open("ab") as stream:  # nothing can take its place, and what was told stays
            stream.write(content)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
