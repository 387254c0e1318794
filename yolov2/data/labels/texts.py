"""What people are told of each bad row: the value that stands there, what is wrong, what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor, log10

import numpy as np
import pandas as pd

from yolov2.boxes import SLIVER, FloatArray
from yolov2.config.data import ValidateConfig
from yolov2.data.labels.conditions import BOX_COLUMNS, EDGES, mostly_outside

ROUNDING = 0.001
"""Up to this share beyond the edge a box overruns it for the digits that its writer kept."""

CORNERS_SHARE = 0.99
"""With so many of the boxes looking like corners, they are."""

_NO_AREA = ("the box has no area", "correct or delete the line")
_TOO_SMALL = (
    f"narrower or lower than {SLIVER:g} of the image's longer side",
    "correct or delete the line; real objects: cut the image in tiles",
)

Text = tuple[str, str, str]
"""Value, message, advice."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a rule depends on besides the tables: the settings and the number of classes."""

    config: ValidateConfig
    classes: int


Texts = Callable[[pd.DataFrame, pd.DataFrame, Context], list[Text]]
"""From the bad rows of a raw table, all of its rows, and the context: a text for each bad row."""


def always(column: str, message: str, advice: str) -> Texts:
    """The same for each row, with the value of a column."""
    return lambda bad, _, __: [(str(value), message, advice) for value in bad[column]]


def of_line(bad: pd.DataFrame, _: pd.DataFrame, __: Context) -> list[Text]:
    """What reading the line has said."""
    return list(zip(bad["value"], bad["message"], bad["advice"], strict=True))


def of_class(bad: pd.DataFrame, _: pd.DataFrame, context: Context) -> list[Text]:
    """A class that the description does not name."""
    message = f"class is not one of 0 to {context.classes - 1}"
    advice = "correct it, or names in the description"
    return [(str(class_id), message, advice) for class_id in bad["class_id"]]


def of_size(bad: pd.DataFrame, _: pd.DataFrame, __: Context) -> list[Text]:
    """A box of no area, or of nearly none."""
    positive = (bad[["w", "h"]] > 0).all(axis=1)
    return [
        (f"w={w:g} h={h:g}", *(_TOO_SMALL if some else _NO_AREA))
        for w, h, some in zip(bad["w"], bad["h"], positive, strict=True)
    ]


def of_duplicate(bad: pd.DataFrame, boxes: pd.DataFrame, _: Context) -> list[Text]:
    """A box that stands twice: the line where it stands first."""
    columns = list(BOX_COLUMNS)
    repeated = boxes[boxes.duplicated(columns, keep=False)]
    first = repeated.groupby(columns)["line"].transform("first")[bad.index]
    return [(f"line {line}", "repeats an earlier line", "delete one of them") for line in first]


def of_outside(bad: pd.DataFrame, boxes: pd.DataFrame, context: Context) -> list[Text]:
    """A box that sticks out: by which edges, and what its writer may have meant."""
    tolerance, corners, told = context.config.edge_tolerance, _are_corners(boxes), []
    rows = zip(bad[list(EDGES)].to_numpy(), mostly_outside(bad).tolist(), strict=True)
    for edges, mostly in rows:
        beyond = (edges < -tolerance) | (edges > 1 + tolerance)
        named = zip(EDGES, edges, beyond | ~beyond.any(), strict=True)
        value = " ".join(f"{name}={edge:.9g}" for name, edge, out in named if out)
        message = "most of the box is outside the image" if mostly else "the box leaves the image"
        told.append((value, message, _outside_advice(edges, mostly, corners)))
    return told


def _outside_advice(edges: FloatArray, mostly: bool, corners: bool) -> str:
    """What to do about a box with these ``edges`` (4,) left, top, right, bottom."""
    pixels = bool((np.abs(edges) > 2).any())
    if corners and pixels:
        return "left top right bottom in pixels? write centre, width and height as shares"
    if corners:
        return "left top right bottom? write the centre, width and height"
    if pixels:
        return "divide pixels by the image's size"
    if mostly:
        return "correct or delete the line"
    overrun = float(max(-edges[0], -edges[1], edges[2] - 1, edges[3] - 1))
    if overrun <= ROUNDING:
        # rounded up to one digit: a tolerance that a person would write
        digit = 10.0 ** floor(log10(overrun))
        needed = ceil(overrun / digit) * digit
        return f"rounding? --edge-tolerance {needed:g} (validate.edge_tolerance)"
    return "--outside-image clip (validate.outside_image) cuts it at the edge"


def _are_corners(boxes: pd.DataFrame) -> bool:
    """Whether the lines look like left, top, right, bottom: the fourth and fifth are greater.

    In centre and size, a box is rarely wider and higher than its middle is far from the corner,
    and never nearly all of them.
    """
    first, second = boxes[["cx", "cy"]].to_numpy(), boxes[["w", "h"]].to_numpy()
    return bool(np.all(second >= first, axis=1).mean() >= CORNERS_SHARE)
