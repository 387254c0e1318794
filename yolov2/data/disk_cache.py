"""Decoded images in files that are mapped into memory.

Letters of the shapes: H W rows and columns of an image.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np

from yolov2.data.pixels import Pixels, read_pixels
from yolov2.data.room import decoded_bytes, require_disk

HEADER_NUMBERS = 4
"""A file begins with four int64: size and time (ns) of its image file, height, width."""

HEADER_BYTES = 8 * HEADER_NUMBERS


class Disk:
    """Images decoded once, then read from files in a folder, by any number of processes.

    A file is written whole or not at all, and anew where size or time of its image file
    differ from those that it was made from. The folder may be deleted at any time.

    Args:
        paths: the image files.
        sizes: (height, width) of each in pixels.
        folder: where the files are kept; made where it is missing.

    Raises:
        CacheError: the images do not fit on the disk.
    """

    def __init__(
        self, paths: Sequence[Path], sizes: Sequence[tuple[int, int]], folder: Path
    ) -> None:
        self.paths = paths
        self.files = [folder / _file_name(path) for path in paths]
        folder.mkdir(parents=True, exist_ok=True)
        present = {entry.name for entry in os.scandir(folder)}
        both = zip(sizes, self.files, strict=True)
        missing = [size for size, file in both if file.name not in present]
        require_disk(decoded_bytes(missing), folder)

    def __call__(self, position: int) -> Pixels:
        """See ``Images``."""
        path, file = self.paths[position], self.files[position]
        made_from = _size_and_time(path)
        pixels = _read(file, made_from)
        if pixels is None:
            pixels = read_pixels(path)
            _write(file, made_from, pixels)
        return pixels


def default_folder() -> Path:
    """The user's folder for what can be made again (``$XDG_CACHE_HOME``, else ``~/.cache``)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "yolov2" / "images"


def _file_name(path: Path) -> str:
    return hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:32] + ".pixels"


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        now = path.stat()
    except OSError:
        return -1, -1  # as no file has it; reading the image says what is wrong
    return now.st_size, now.st_mtime_ns


def _read(file: Path, made_from: tuple[int, int]) -> Pixels | None:
    """Pixels (H, W, 3); ``None`` where there are none that were ``made_from`` the image file."""
    try:
        with file.open("rb") as stream:
            header = np.frombuffer(stream.read(HEADER_BYTES), dtype="<i8").tolist()
            if header[:2] != list(made_from):
                return None
            shape = (*header[2:], 3)
            # copy on write, because torch warns of memory that cannot be written to
            return np.memmap(stream, np.uint8, "c", offset=HEADER_BYTES, shape=shape)
    except (OSError, ValueError):  # not there, or cut short
        return None


def _write(file: Path, made_from: tuple[int, int], pixels: Pixels) -> None:
    height, width, _ = pixels.shape
    header = np.array([*made_from, height, width], dtype="<i8")
    draft = file.with_name(f"{file.name}.{uuid4().hex}.part")
    try:
        with draft.open("wb") as stream:
            stream.write(header.tobytes())
            stream.write(pixels.tobytes())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
