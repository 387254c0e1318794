"""Training images as pixels, decoded by Pillow.

torchvision's JPEG decoder is somewhat faster, but deprecated since torchvision 0.29.

Letters of the shapes: H W rows and columns of an image.
"""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from yolov2.data.images.reading import read_image

Pixels = NDArray[np.uint8]
"""An image (H, W, 3), RGB 0-255, not to be written to."""


def read_pixels(path: Path) -> Pixels:
    """The image, turned as its EXIF orientation says.

    Raises:
        ImageError: the file is missing, not an image, truncated or too large to be safe.
    """
    return np.array(read_image(path))


class Images(Protocol):
    """Where the pixels of a list of images come from."""

    def __call__(self, position: int) -> Pixels:
        """The image at ``position``."""


class Files:
    """Images decoded anew each time."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def __call__(self, position: int) -> Pixels:
        """See ``Images``."""
        return read_pixels(self.paths[position])


class Recent:
    """The images that this process read last, so that few images are not decoded again and again.

    Args:
        images: where the others come from.
        capacity: bytes of pixels that may be kept.
    """

    def __init__(self, images: Images, capacity: int) -> None:
        self.images, self.capacity, self.size = images, capacity, 0
        self.kept: OrderedDict[int, Pixels] = OrderedDict()

    def __call__(self, position: int) -> Pixels:
        """See ``Images``."""
        if position in self.kept:
            self.kept.move_to_end(position)
            return self.kept[position]
        pixels = self.kept[position] = self.images(position)
        self.size += pixels.nbytes
        while self.size > self.capacity:
            self.size -= self.kept.popitem(last=False)[1].nbytes
        return pixels
