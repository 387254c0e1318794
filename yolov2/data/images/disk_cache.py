"""Decoded images in files.

Letters of the shapes: H W rows and columns of an image.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np

from yolov2.data.images.pixels import Pixels, read_pixels
from yolov2.data.images.room import decoded_bytes, require_disk


class Disk:
    """Images decoded once, then read from files in a folder, by any number of processes.

    A file is written whole or not at all, and anew where the image's md5 in the label table,
    or size or time of its file, differ from those that it was made from. The folder may be
    deleted at any time. A file has 32 bytes that stand for the image, height and width as
    int64, and the pixels.

    Args:
        paths: the image files.
        sizes: (height, width) of each in pixels.
        md5s: of the bytes of each, by the label table.
        folder: where the files are kept; made where it is missing.
        tell: gets to know, once, when a file cannot be written; then no more are.

    Raises:
        CacheError: the images do not fit on the disk.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        sizes: Sequence[tuple[int, int]],
        md5s: Sequence[str],
        folder: Path,
        tell: Callable[[str], None],
    ) -> None:
        self.paths, self.md5s, self.folder = paths, md5s, folder
        self.tell, self.writable = tell, True
        self.files = [folder / _file_name(path) for path in paths]
        folder.mkdir(parents=True, exist_ok=True)
        present = {entry.name for entry in os.scandir(folder)}
        both = zip(sizes, self.files, strict=True)
        missing = [size for size, file in both if file.name not in present]
        require_disk(decoded_bytes(missing), folder)

    def __call__(self, position: int) -> Pixels:
        """See ``Images``."""
        path, file = self.paths[position], self.files[position]
        made_from = _origin(path, self.md5s[position])
        pixels = _read(file, made_from)
        if pixels is None:
            pixels = read_pixels(path)
            self._keep(file, made_from, pixels)
        return pixels

    def _keep(self, file: Path, made_from: bytes, pixels: Pixels) -> None:
        if not self.writable:
            return
        try:
            _write(file, made_from, pixels)
        except OSError as error:
            self.writable = False
            self.tell(
                f"{self.folder}: no more decoded images can be kept there ({error.strerror}):"
                " those that are missing are decoded each time; make room, or set cache: ram or"
                " none"
            )


def default_folder() -> Path:
    """The user's folder for what can be made again (``$XDG_CACHE_HOME``, else ``~/.cache``)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "yolov2" / "images"


def _file_name(path: Path) -> str:
    return hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:32] + ".pixels"


def _origin(path: Path, md5: str) -> bytes:
    """32 bytes that differ where the image does: a copied file may keep its size and time."""
    try:
        now = path.stat()
    except OSError:
        return bytes(32)  # as no image has it; reading it says what is wrong
    return hashlib.sha256(f"{md5} {now.st_size} {now.st_mtime_ns}".encode()).digest()


def _read(file: Path, made_from: bytes) -> Pixels | None:
    """Pixels (H, W, 3); ``None`` where there are none that were ``made_from`` the image."""
    try:
        with file.open("rb") as stream:
            if stream.read(len(made_from)) != made_from:
                return None
            height, width = np.fromfile(stream, "<i8", 2).tolist()
            left = os.fstat(stream.fileno()).st_size - stream.tell()
            if min(height, width) < 1 or 3 * height * width != left:
                return None
            # not mapped: each map would hold an open file while its pixels are kept
            return np.fromfile(stream, np.uint8).reshape(height, width, 3)
    except (OSError, ValueError):  # not there, or cut short
        return None


def _write(file: Path, made_from: bytes, pixels: Pixels) -> None:
    height, width, _ = pixels.shape
    draft = file.with_name(f"{file.name}.{uuid4().hex}.part")
    try:
        with draft.open("wb") as stream:
            stream.write(made_from)
            stream.write(np.array([height, width], dtype="<i8").tobytes())
            stream.write(pixels.tobytes())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
