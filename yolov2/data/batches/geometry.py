"""Where images and their boxes lie on a training canvas.

Letters of the shapes: H W rows and columns of an image, S side of the canvas, n boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from yolov2.boxes import SLIVER, FloatArray
from yolov2.config.augment import AugmentConfig
from yolov2.data.images.pixels import Pixels

MOSAIC_MARGIN = 0.2
"""A mosaic's four images meet no nearer to the edge than this share of the canvas (darknet's)."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """Along one axis: pixels ``source`` of the image fill pixels ``target`` of the canvas.

    Both are (first, end); the image has ``size`` pixels.
    """

    size: int
    source: tuple[int, int]
    target: tuple[int, int]

    @property
    def scale(self) -> float:
        """Pixels of the canvas that a pixel of the image takes."""
        return (self.target[1] - self.target[0]) / (self.source[1] - self.source[0])

    @property
    def start(self) -> float:
        """Where on the canvas the image would begin, were it seen to its end."""
        return self.target[0] - self.source[0] * self.scale


@dataclass(frozen=True, kw_only=True)
class Tile:
    """The part of an image that is seen, and where on the canvas."""

    x: Span
    y: Span

    def paste(self, pixels: Pixels, canvas: Tensor) -> None:
        """Resize the part of ``pixels`` (H, W, 3) that is seen into ``canvas`` uint8 (3, S, S)."""
        (left, right), (top, bottom) = self.x.source, self.y.source
        (x1, x2), (y1, y2) = self.x.target, self.y.target
        part = torch.from_numpy(pixels[top:bottom, left:right]).permute(2, 0, 1)  # (3, h, w)
        canvas[:, y1:y2, x1:x2] = functional.resize_image(part, [y2 - y1, x2 - x1], antialias=True)


def visible_boxes(
    boxes: Sequence[FloatArray], tiles: Sequence[Tile], min_visible: float
) -> FloatArray:
    """What is seen of the boxes of several images: (m, 5) class, xyxy in pixels of the canvas.

    ``boxes`` (n, 5) are class, cx, cy, w, h as shares of each image. They are clipped to what is
    seen of it; left out are those of which less than ``min_visible`` of the area is seen.
    """
    rows = np.concatenate(boxes)  # (n, 5)
    numbers = [
        [
            *(span.scale * span.size for span in (tile.x, tile.y)),
            *(span.start for span in (tile.x, tile.y)),
            *(edge for edges in zip(tile.x.target, tile.y.target, strict=True) for edge in edges),
        ]
        for tile in tiles
    ]
    spread = np.repeat(numbers, [len(some) for some in boxes], axis=0)  # (n, 8)
    scale, start, first, end = np.split(spread, 4, axis=1)  # (n, 2) each: x, y
    centre, half = rows[:, 1:3] * scale + start, rows[:, 3:5] * scale / 2
    low, high = np.maximum(centre - half, first), np.minimum(centre + half, end)
    seen = np.maximum(high - low, 0)
    area = seen.prod(axis=1)
    kept = (area > 0) & (area >= min_visible * 4 * half.prod(axis=1))
    return np.asarray(np.concatenate((rows[:, :1], low, high), axis=1)[kept])


def to_targets(boxes: FloatArray, side: int) -> FloatArray:
    """Boxes (n, 5) class, xyxy in pixels -> (m, 5) class, cx, cy, w, h as shares of the canvas.

    What is narrower or lower than ``SLIVER`` is left out, as darknet does.
    """
    low, high = boxes[:, 1:3] / side, boxes[:, 3:5] / side
    targets = np.concatenate((boxes[:, :1], (low + high) / 2, high - low), axis=1)
    return np.asarray(targets[(targets[:, 3:] >= SLIVER).all(axis=1)])


def single_tile(
    size: tuple[int, int], side: int, config: AugmentConfig, rng: np.random.Generator
) -> Tile:
    """An image of (width, height) pixels alone on the canvas: darknet's ``load_data_detection``.

    With ``translate`` 1 it lies anywhere in the canvas, or, where it is larger, any part of it
    is seen.
    """
    lengths, shares = _drawn(size, side, config, rng.random(5).tolist())
    spans = [
        _span(pixels, length, (side - length) * share, (0, side))
        for pixels, length, share in zip(size, lengths, shares, strict=True)
    ]
    return Tile(x=spans[0], y=spans[1])


def mosaic_tiles(
    sizes: list[tuple[int, int]], side: int, config: AugmentConfig, rng: np.random.Generator
) -> list[Tile]:
    """Four images around a random point: top left, top right, bottom left, bottom right.

    Each is as large as it would be alone. One that is smaller than its quarter touches the
    point where they meet, of a larger one a part is seen as in ``single_tile``.
    """
    meet = [
        round(side * (MOSAIC_MARGIN + (1 - 2 * MOSAIC_MARGIN) * u)) for u in rng.random(2).tolist()
    ]
    tiles = []
    for quarter, (size, u) in enumerate(zip(sizes, rng.random((4, 5)).tolist(), strict=True)):
        lengths, shares = _drawn(size, side, config, u)
        spans = []
        for axis, after in enumerate((quarter % 2, quarter // 2)):
            low, high = (meet[axis], side) if after else (0, meet[axis])
            room = high - low - lengths[axis]
            share = (0.0 if after else 1.0) if room >= 0 else shares[axis]
            spans.append(_span(size[axis], lengths[axis], low + room * share, (low, high)))
        tiles.append(Tile(x=spans[0], y=spans[1]))
    return tiles


def _drawn(
    size: tuple[int, int], side: int, config: AugmentConfig, u: Sequence[float]
) -> tuple[list[float], list[float]]:
    """How long (x, y) an image is on the canvas, and which share of the free room lies before it.

    ``size`` is its (width, height); ``u`` are five random numbers in [0, 1).
    """
    sides = [pixels * (1 + config.jitter * (2 * v - 1)) for pixels, v in zip(size, u, strict=False)]
    low, high = config.scale
    factor = side * (low + (high - low) * u[2]) / max(sides)
    return [factor * length for length in sides], [
        0.5 + config.translate * (v - 0.5) for v in u[3:]
    ]


def _span(size: int, length: float, start: float, window: tuple[int, int]) -> Span:
    """``size`` pixels shown ``length`` long from ``start``, as far as they lie in ``window``.

    Ends are whole pixels of the canvas and of the image; that the boxes follow the same whole
    numbers keeps them exact.
    """
    low, high = window
    first = min(max(round(start), low), high - 1)
    end = max(min(round(start + length), high), first + 1)
    left, right = 0, size
    if start < low:
        left = min(round((low - start) / length * size), size - 1)
    if start + length > high:
        right = max(round((high - start) / length * size), left + 1)
    return Span(size=size, source=(left, right), target=(first, end))
