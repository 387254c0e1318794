"""Reading images and placing them on the square canvas. Pillow and NumPy only.

Training, evaluation, detection and the served model share these functions, so that a model
sees the same pixels everywhere; no torch, so that serving an exported graph needs none.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from yolov2.boxes import Letterbox

CANVAS_GREY = 127
"""Value (0-255) of the canvas beside the image: darknet fills with 0.5."""


class ImageError(ValueError):
    """An image that cannot be read; the text names it and says why."""


def read_image(source: Path | bytes, *, most_pixels: int | None = None) -> Image.Image:
    """The image in RGB, turned as its EXIF orientation says.

    Raises:
        ImageError: the file is missing, not an image, truncated or too large to be safe: for
            Pillow, or by its header of more than ``most_pixels``.
    """
    name = "image" if isinstance(source, bytes) else str(source)
    try:
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source) as image:
            if most_pixels is not None and image.width * image.height > most_pixels:
                size = f"{image.width} x {image.height}"
                raise ImageError(f"{name}: {size} pixels, of at most {most_pixels:,} in all")
            # in place and only where need be: each copy costs a tenth of the decoding
            ImageOps.exif_transpose(image, in_place=True)
            return to_rgb(image)
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"{name}: no such image file") from None
    except UnidentifiedImageError:
        empty = not source if isinstance(source, bytes) else source.stat().st_size == 0
        problem = "empty (0 bytes)" if empty else "not an image that Pillow can read"
        raise ImageError(f"{name}: {problem}") from None
    except (
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
        # Pillow's readers of GIF and TIFF give these for damaged files
        IndexError,
        TypeError,
    ) as error:
        raise ImageError(f"{name}: cannot be decoded ({error})") from None


def to_rgb(image: Image.Image) -> Image.Image:
    """The image in RGB; 16-bit grey is scaled where Pillow would cut it off at 255."""
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.float32) * (255 / 65535)
        image = Image.fromarray(grey.round().astype(np.uint8))
    elif image.mode == "P" and isinstance(image.info.get("transparency"), bytes):
        image = image.convert("RGBA")  # the same colours, without a warning of Pillow's
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
        "its EXIF orientation turns it, and boxes are those of the turned picture: annotate that,"
        " or take the orientation out of the file"
        if (height, width) == wanted
        else "annotate these files, or give those that were annotated (these may be resized copies)"
    )
    raise ImageError(
        f"{name}: it has {width} x {height} pixels, {who} {wanted[0]} x {wanted[1]}: {advice}"
    )


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
