"""Boxes: formats, overlap, and the letterbox geometry.

Formats are in the names: ``cxcywh`` is centre and size, ``xyxy`` left, top, right, bottom, ``ltwh``
left, top, width, height.
Units are in the names too: ``normalised`` is a share of the image, ``cells`` are grid cells,
``pixels`` are pixels of the named image.

Letters of the shapes: N, M numbers of boxes; ``...`` any leading dimensions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]

SLIVER = 0.001
"""The smallest box: narrower or lower than this share of the canvas, no training sees it.

It is darknet's number: 0.64 pixels of a canvas of 640, a fiftieth of a grid cell.
"""


def size_iou(sizes1: FloatArray, sizes2: FloatArray) -> FloatArray:
    """Overlap (N, M) of widths and heights (N, 2) and (M, 2), all boxes centred on one point."""
    smaller = np.minimum(sizes1[:, None, :], sizes2[None, :, :])
    intersection = smaller[..., 0] * smaller[..., 1]
    union = sizes1.prod(axis=1)[:, None] + sizes2.prod(axis=1)[None, :] - intersection
    return np.asarray(intersection / np.maximum(union, np.finfo(union.dtype).tiny))


def xyxy_to_ltwh(boxes_xyxy: FloatArray) -> NDArray[np.float64]:
    """Boxes (N, 4) left, top, right, bottom -> (N, 4) left, top, width, height in float64."""
    boxes = boxes_xyxy.astype(np.float64)
    return np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), axis=1)


def ltwh_to_xyxy(boxes_ltwh: FloatArray) -> NDArray[np.float64]:
    """Boxes (N, 4) left, top, width, height -> (N, 4) left, top, right, bottom in float64."""
    boxes = boxes_ltwh.astype(np.float64)
    return np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), axis=1)


@dataclass(frozen=True, kw_only=True)
class Letterbox:
    """Where an image lies on the square canvas: shrunk or grown to fit, aspect kept, centred.

    ``width``/``height`` are the image's, ``side`` the canvas's, in pixels; the picture covers
    ``new_width x new_height`` pixels from ``left``, ``top``. The integer geometry is darknet's
    ``letterbox_image``; both directions use the same integers, so that a box comes back to
    where it was.
    """

    width: int
    height: int
    side: int

    @property
    def new_width(self) -> int:
        """Columns of the canvas that the image covers."""
        return max(1, self.width * self.side // max(self.width, self.height))

    @property
    def new_height(self) -> int:
        """Rows of the canvas that the image covers."""
        return max(1, self.height * self.side // max(self.width, self.height))

    @property
    def left(self) -> int:
        """Empty columns on the left."""
        return (self.side - self.new_width) // 2

    @property
    def top(self) -> int:
        """Empty rows above."""
        return (self.side - self.new_height) // 2

    def normalised_to_canvas(self, boxes_cxcywh_normalised: FloatArray) -> FloatArray:
        """Boxes (N, 4) as shares of the image -> boxes (N, 4) cxcywh as shares of the canvas."""
        size = np.array([self.new_width, self.new_height] * 2, dtype=np.float64)
        offset = np.array([self.left, self.top, 0, 0], dtype=np.float64)
        return np.asarray((boxes_cxcywh_normalised * size + offset) / self.side)

    def canvas_to_image(self, boxes_xyxy_canvas: FloatArray) -> FloatArray:
        """Boxes (N, 4) in canvas pixels -> boxes (N, 4) in image pixels, clipped to the image."""
        offset = np.array([self.left, self.top] * 2, dtype=np.float64)
        scale = np.array(
            [self.width / self.new_width, self.height / self.new_height] * 2, dtype=np.float64
        )
        limit = np.array([self.width, self.height] * 2, dtype=np.float64)
        return np.asarray(np.clip((boxes_xyxy_canvas - offset) * scale, 0.0, limit))
