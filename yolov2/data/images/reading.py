"""Reading images and placing them on the square canvas. Pillow and NumPy only.

Training, evaluation, detection and the served model share these functions, so that a model
sees the same pixels everywhere; no torch, so that serving an exported graph needs none.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

from yolov2.boxes import Letterbox

CANVAS_GREY = 127
"""Value (0-255) of the canvas beside the image: darknet fills with 0.5."""


FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "AVIF", "JPEG2000")
"""What is opened, by Pillow's names, whatever a file is called; MPO is a JPEG to it.

Left to itself Pillow tries some forty, among them PostScript, for which it starts Ghostscript.
"""

NO_FORMAT = "not an AVIF, BMP, GIF, JPEG, JPEG 2000, PNG, TIFF or WebP image"

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What each EXIF orientation asks for; those from 5 on exchange width and height."""


class ImageError(ValueError):
    """An image that cannot be read; the text names it and says why, ``reason`` only why."""

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text)
        self.reason = reason


def read_image(source: Path | bytes, *, most_pixels: int | None = None) -> Image.Image:
    """The image in RGB, turned as its EXIF orientation says.

    Raises:
        ImageError: as ``open_image``; or by its header it has more than ``most_pixels``.
    """
    with open_image(source) as image:
        if most_pixels is not None and image.width * image.height > most_pixels:
            size = f"{image.width} x {image.height}"
            problem = f"{size} pixels, of at most {most_pixels:,} in all"
            raise ImageError(f"{_name(source)}: {problem}", problem)
        image.load()
        turn = orientation(image)
        # only where need be: each copy costs a tenth of the decoding
        return to_rgb(image if turn is None else _turned(image, TURNS[turn]))


@contextmanager
def open_image(source: Path | bytes) -> Iterator[Image.Image]:
    """An image file or its bytes, opened by Pillow but not yet decoded.

    Raises:
        ImageError: the file is missing, of none of ``FORMATS``, too large to be safe for Pillow,
            or its numbers have no known black and white; also whatever Pillow raises within, as
            for a damaged file.
    """
    try:
        # never by its name: Pillow would map a TIFF that is turned into memory the wrong way round
        with (
            BytesIO(source) if isinstance(source, bytes) else source.open("rb") as content,
            Image.open(content, formats=FORMATS) as image,
        ):
            problem = _unknown_white(image)
            if not problem:
                yield image
    except ImageError:
        raise
    except FileNotFoundError:
        problem = "no such image file"
    except UnidentifiedImageError:
        empty = not source if isinstance(source, bytes) else source.stat().st_size == 0
        problem = "empty (0 bytes)" if empty else NO_FORMAT
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ImageError(f"{_name(source)}: cannot be decoded ({lines[0]})", lines[0]) from error
    if problem:
        raise ImageError(f"{_name(source)}: {problem}", problem)


def orientation(image: Image.Image) -> int | None:
    """The EXIF orientation of an image that was loaded, one of ``TURNS``; ``None``: it is upright.

    The rest of the EXIF is not looked at: what is damaged there does not hinder reading.
    """
    value = image.getexif().get(ExifTags.Base.Orientation)
    return value if value in TURNS else None


def to_rgb(image: Image.Image) -> Image.Image:
    """The image in RGB; 16-bit grey is scaled where Pillow would cut it off at 255."""
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.float32) * (255 / 65535)
        image = Image.fromarray(grey.round().astype(np.uint8))
    elif image.mode == "P" and isinstance(image.info.get("transparency"), bytes):
        image = image.convert("RGBA")  # the same colours, without a warning of Pillow's
    elif image.mode == "La":
        image = image.convert("LA")  # the only way from it that Pillow has
    return image.convert("RGB")


def require_size(name: Path | str, image: Image.Image, wanted: tuple[int, int], who: str) -> None:
    """Raise ``ImageError`` unless an image, already turned, has the ``wanted`` width and height.

    Boxes in pixels of the one picture would be judged by those of another. ``who`` says what was
    wanted, for the text: "the annotations say".
    """
    if image.size == wanted:
        return
    width, height = image.size
    advice = (
        "they are exchanged, as by an EXIF orientation: annotate the picture as it is turned,"
        " or take the orientation out of the file"
        if (height, width) == wanted
        else "annotate these files, or give those that were annotated (these may be resized copies)"
    )
    raise ImageError(
        f"{name}: it has {width} x {height} pixels, {who} {wanted[0]} x {wanted[1]}: {advice}"
    )


def _name(source: Path | bytes) -> str:
    return "image" if isinstance(source, bytes) else str(source)


def _turned(image: Image.Image, turn: Image.Transpose) -> Image.Image:
    turned = image.transpose(turn)
    for key in ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"):
        turned.info.pop(key, None)  # it would ask to be turned again
    return turned


def _unknown_white(image: Image.Image) -> str:
    """Why the numbers of an opened image cannot be taken for shades; empty if they can.

    Pillow would cut them off at 0 and 255: a black or a white picture.
    """
    kind = "32-bit" if image.mode in ("I", "F") else ""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tags = image.tag_v2
        if 2 in tags.get(TiffImagePlugin.SAMPLEFORMAT, ()):
            kind = "signed"
        elif 12 in tags.get(TiffImagePlugin.BITSPERSAMPLE, ()):
            kind = "12-bit"
        elif image.mode == "I;16" and tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
            kind = "16-bit with white as 0"
    advice = "which have no set black and white: save it as 8 or 16 bits unsigned"
    return f"{kind} values, {advice}" if kind else ""


def letterbox_image(image: Image.Image, side: int) -> tuple[NDArray[np.uint8], Letterbox]:
    """The image on a grey canvas (side, side, 3), RGB 0-255, and where on it the image lies."""
    box = Letterbox(width=image.width, height=image.height, side=side)
    size = (box.new_width, box.new_height)
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    if size == (side, side):
        return np.array(image, dtype=np.uint8), box
    canvas = np.full((side, side, 3), CANVAS_GREY, dtype=np.uint8)
    rows = slice(box.top, box.top + box.new_height)
    columns = slice(box.left, box.left + box.new_width)
    canvas[rows, columns] = np.asarray(image)
    return canvas, box


def network_input(canvases: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Canvases, each (S, S, 3) RGB 0-255 -> images float32 (B, 3, S, S), contiguous, in [0, 1]."""
    batch = np.stack(canvases).transpose(0, 3, 1, 2)  # (B, 3, S, S)
    return np.divide(batch, 255, dtype=np.float32, order="C")
