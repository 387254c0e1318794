"""Decoded images in memory that all loader workers share.

Letters of the shapes: H W rows and columns of an image, N images.
"""

import mmap
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import NoReturn

import numpy as np

from yolov2.data.images.pixels import Pixels, read_pixels
from yolov2.data.images.room import CacheError, decoded_bytes, require_memory


class SharedMemory:
    """Images decoded once, then kept in memory by this process and those forked from it.

    Each process fills in what it is the first to read; later changes of an image file are not
    seen. The memory is mapped anonymously, so that the size of ``/dev/shm`` (64 MB in a
    container) is no limit, and is taken only as it is filled. Processes that are not forked
    from one another (the ranks of a distributed training) have one each.

    Args:
        paths: the image files.
        sizes: (height, width) of each in pixels; an image of another size is not kept.

    Raises:
        CacheError: the images do not fit into the free memory.
    """

    def __init__(self, paths: Sequence[Path], sizes: Sequence[tuple[int, int]]) -> None:
        needed = decoded_bytes(sizes)
        require_memory(needed)
        self.paths, self.sizes = paths, sizes
        self.starts = list(accumulate((decoded_bytes([size]) for size in sizes), initial=0))
        self.pixels = np.frombuffer(mmap.mmap(-1, needed), dtype=np.uint8)  # all, in a row
        self.filled = np.frombuffer(mmap.mmap(-1, len(paths)), dtype=np.uint8)  # (N,)

    def __reduce__(self) -> NoReturn:
        raise CacheError(
            "cache: ram needs loader workers that are forked, as they are on Linux: use cache: disk"
        )

    def __call__(self, position: int) -> Pixels:
        """See ``Images``."""
        start, end = self.starts[position : position + 2]
        slot = self.pixels[start:end].reshape(*self.sizes[position], 3)  # (H, W, 3)
        if self.filled[position]:
            return slot
        pixels = read_pixels(self.paths[position])
        if pixels.shape != slot.shape:
            return pixels
        slot[:] = pixels
        self.filled[position] = 1  # last: where it is set, all pixels are there
        return slot
