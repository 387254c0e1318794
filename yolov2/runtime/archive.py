"""Whether a file of torch's is whole: a zip archive with checksums, which torch passes over."""

import struct
import zipfile
import zlib
from pathlib import Path

LONGEST = 160
"""Characters of a foreign error that ours shows."""


def require_whole_archive(path: Path, what: str) -> None:
    """Read the archive once: every file in it fits its checksum.

    Raises:
        ValueError: it is no archive, or damaged; ``what`` is what it should be.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, RuntimeError, ValueError, EOFError, zlib.error, struct.error):
        raise ValueError(
            f"{path} is no {what} (not a whole zip archive): it is cut off, damaged or something"
            " else; copy or export it again"
        ) from None
    if damaged is not None:
        raise ValueError(
            f"{path} is a damaged {what} ({damaged} does not fit its checksum): copy or export it"
            " again"
        )


def first_line(error: Exception) -> str:
    """The type of an error and the beginning of what it says, on one line."""
    return f"{type(error).__name__}: {short(str(error))}"


def short(text: str) -> str:
    """The first line of a foreign text, without what cannot be printed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = "".join(each if each.isprintable() else "?" for each in (lines or ["no reason"])[0])
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."
