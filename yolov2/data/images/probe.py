"""What validation reads of an image file: its size, whether it can be decoded, its hash."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from yolov2.data.images.reading import ImageError, open_image, orientation

ImageStatus = Literal["ok", "missing", "unreadable"]

_SEVERAL = frozenset({"AVIF", "GIF", "PNG", "TIFF", "WEBP"})
"""Formats of pages and animations. What else a camera puts into a JPEG is no picture of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageProbe:
    """What was found: width and height in pixels as turned by EXIF, md5 of the bytes.

    An image that is not ``ok`` has size 0 and a ``reason``; ``note`` says what to
    know of one that is.
    """

    status: ImageStatus
    reason: str = ""
    width: int = 0
    height: int = 0
    md5: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleProbe:
    """An image and the bytes of its label file (``None``: there is none, or ``label_error``)."""

    image: ImageProbe
    label: bytes | None
    label_error: str = ""


def probe_sample(image: Path, label: Path) -> SampleProbe:
    """Look at an image and read its label file. Safe to call from several threads at once."""
    probed = probe_image(image)
    try:
        return SampleProbe(image=probed, label=label.read_bytes())
    except FileNotFoundError:
        dangling = "a link to a file that does not exist" if os.path.islink(label) else ""
        return SampleProbe(image=probed, label=None, label_error=dangling)
    except OSError as error:
        return SampleProbe(image=probed, label=None, label_error=_first_line(error))


def probe_image(image: Path) -> ImageProbe:
    """Read the whole file, decode it as cheaply as shows that nothing is missing."""
    try:
        data = image.read_bytes()
    except FileNotFoundError:
        return ImageProbe(status="missing", reason="no such file")
    except OSError as error:
        return ImageProbe(status="unreadable", reason=_first_line(error))
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if not data:
        return ImageProbe(status="unreadable", reason="the file is empty", md5=md5)
    try:
        width, height = _decoded_size(data)
    except ImageError as error:
        return ImageProbe(status="unreadable", reason=error.reason, md5=md5)
    note = other_pictures(data)
    return ImageProbe(status="ok", width=width, height=height, md5=md5, note=note)


def other_pictures(source: Path | bytes) -> str:
    """What to know of a readable image file that holds several pictures; else nothing."""
    try:
        with open_image(source) as image:
            pictures = int(getattr(image, "n_frames", 1)) if image.format in _SEVERAL else 1
    except ImageError as error:
        return f"damaged after its first picture ({error.reason})"
    return f"holds {pictures} pictures, only the first is looked at" if pictures > 1 else ""


def _decoded_size(data: bytes) -> tuple[int, int]:
    """Width and height after EXIF orientation, all pixel data having been read."""
    with open_image(data) as image:
        width, height = image.size
        if image.format in ("JPEG", "MPO"):
            # an eighth of the size: the whole file is read, little of it computed
            image.draft(None, (max(1, width // 8), max(1, height // 8)))
            image.load()
        else:
            image.load()
            width, height = image.size  # TIFF turns itself while it loads
        turn = orientation(image)
    return (height, width) if turn is not None and turn >= 5 else (width, height)


def _first_line(error: OSError) -> str:
    return error.strerror or str(error).split("\n")[0] or type(error).__name__
