"""The rules that labels must keep, and the policies for those that do not.

==================  =========================================================  =============
kind                what it is                                                 left out
==================  =========================================================  =============
missing_image       a list names an image that does not exist                  always
unreadable_image    an image cannot be decoded, or only in part                always
malformed_line      a line is not ``class cx cy w h`` in finite numbers        always
class_out_of_range  the class is not one of 0 ... number of classes - 1        always
outside_image       an edge of the box is beyond [0, 1] by more than the       with ``drop``
                    tolerance
                    its middle is not in the image, or it is larger than       always
                    twice the image: most of it is outside
zero_size           width or height is less than ``SLIVER`` (0.001) of the     always
                    image's longer side, which is its share of the canvas
duplicate           class and box equal those of an earlier line of the file   with ``drop``
==================  =========================================================  =============

Policies: ``error`` stops; ``warn`` and ``drop`` report and go on; ``ignore`` goes on without a
word; ``clip``, of ``outside_image`` alone, reports and cuts the box at the image's edge. A row
that no later step could use is left out under each of them (``always``); the others are kept by
``warn`` and ``ignore`` with the numbers that stand in the file. A box that overruns the edge
within the tolerance is right and keeps its numbers, too. With an image go its boxes.

Why these two bounds: a box is learnt by the grid cell that holds its middle, so that none
answers for one whose middle is elsewhere (darknet leaves it out, too), and the network's sizes
are factors of anchors, to which one number in pixels, or of no size, does what thousands of right
ones cannot undo.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yolov2.boxes import SLIVER, FloatArray
from yolov2.config.data import EdgePolicy, ValidateConfig
from yolov2.data.labels.problems import Kind

BoolArray = NDArray[np.bool_]

BOX_COLUMNS = ["row", "class_id", "cx", "cy", "w", "h"]
"""Columns of the raw box table in which a duplicate equals an earlier box of the same file."""

EDGES = ("left", "top", "right", "bottom")

_KEPT: frozenset[Kind] = frozenset({"outside_image", "duplicate"})


def policies(config: ValidateConfig) -> dict[Kind, EdgePolicy]:
    """The policy of each kind of problem."""
    return {
        "missing_image": config.missing_image,
        "unreadable_image": config.unreadable_image,
        "malformed_line": config.malformed_line,
        "class_out_of_range": config.class_out_of_range,
        "outside_image": config.outside_image,
        "zero_size": config.zero_size,
        "duplicate": config.duplicate,
    }


def box_faults(boxes: pd.DataFrame, classes: int, tolerance: float) -> dict[Kind, BoolArray]:
    """Which boxes (N,) of a raw box table break which rule."""
    edges: NDArray[np.float64] = boxes[list(EDGES)].to_numpy()  # (N, 4)
    sizes: NDArray[np.float64] = boxes[["canvas_w", "canvas_h"]].to_numpy()  # (N, 2)
    beyond = np.any((edges < -tolerance) | (edges > 1 + tolerance), axis=1)
    class_id = boxes["class_id"].to_numpy()
    return {
        "class_out_of_range": (class_id < 0) | (class_id >= classes),
        "outside_image": beyond | mostly_outside(boxes),
        "zero_size": np.any(sizes < SLIVER, axis=1),
        "duplicate": boxes.duplicated(BOX_COLUMNS).to_numpy(),
    }


def mostly_outside(boxes: pd.DataFrame) -> BoolArray:
    """Which boxes (N,) have less than half of their width, or of their height, in the image.

    In other words: the middle is not in the image, or the box is larger than twice the image.
    """
    middle: NDArray[np.float64] = boxes[["cx", "cy"]].to_numpy()  # (N, 2)
    size = np.abs(boxes[["w", "h"]].to_numpy())
    return np.asarray(np.any((middle < 0) | (middle > 1) | (size > 2), axis=1))


def clipped(boxes: pd.DataFrame) -> FloatArray:
    """Boxes (N, 4) cx, cy, w, h, cut at the edges of their images."""
    edges = boxes[list(EDGES)].to_numpy().clip(0, 1)  # (N, 4)
    low, high = edges[:, :2], edges[:, 2:]
    return np.concatenate(((low + high) / 2, high - low), axis=1)


def left_out(
    boxes: pd.DataFrame, faults: Mapping[Kind, BoolArray], config: ValidateConfig
) -> BoolArray:
    """Which boxes (N,) the policies keep out of the label table."""
    policy = policies(config)
    masks = [faults[kind] for kind in faults if kind not in _KEPT or policy[kind] == "drop"]
    masks.append(mostly_outside(boxes))
    if policy["outside_image"] == "clip":
        written = boxes[["w", "h"]].to_numpy()
        size = boxes[["canvas_w", "canvas_h"]].to_numpy()
        # of a box without a size the zero_size has spoken
        left = size * clipped(boxes)[:, 2:] / np.where(written == 0, 1, written)
        masks.append(np.any(left < SLIVER, axis=1))
    return np.asarray(np.logical_or.reduce(masks))
