"""An image that a program or a request hands over: text, bytes, a path or an array."""

import base64
import binascii
from pathlib import Path

import numpy as np
from PIL import Image

from yolov2.data.images.reading import ImageError, read_image

MOST_PIXELS = 50_000_000
"""Of an image that comes as text or bytes: decoding takes up to a dozen bytes a pixel."""


def given_image(value: object) -> Image.Image:
    """The image in RGB: of base64 text, a file's bytes, a ``Path``, or uint8 (H, W, 3) in RGB.

    Text is never a path or an address, so that a request cannot have a file opened.

    Raises:
        ImageError: it is none of these, or no image that can be read.
    """
    if isinstance(value, np.ndarray):
        shape = value.shape
        if value.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
            found = f"{value.dtype} {shape}"
            raise ImageError(f"an array must be uint8 (height, width, 3) in RGB, not {found}")
        return Image.fromarray(value)
    if isinstance(value, Path):
        return read_image(value)
    return read_image(_bytes(value), most_pixels=MOST_PIXELS)


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ImageError(
            "image must be base64 text or bytes (in Python also a Path or an array), not"
            f" {type(value).__name__}"
        )
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(f"image is not valid base64 ({error})") from None
