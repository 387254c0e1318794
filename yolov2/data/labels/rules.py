"""The rules that labels must keep: one table, an entry for each kind of mistake.

All that is done about a kind follows from its entry: problems for people, Great Expectations, its
line in ``docs/parameters.md``. What happens to it is its policy, the field of the same name in
``ValidateConfig``.

Policies: ``error`` stops; ``warn`` and ``drop`` report and go on; ``ignore`` goes on without a
word; ``clip``, of ``outside_image`` alone, reports and cuts the box at the image's edge. A row
that no later step could use is left out under each of them (``useless``); the others are kept by
``warn`` and ``ignore`` with the numbers that stand in the file. A box that overruns the edge
within the tolerance is right and keeps its numbers, too. With an image go its boxes.

Why the bounds of size and middle: a box is learnt by the grid cell that holds its middle, so that
none answers for one whose middle is elsewhere (darknet leaves it out, too), and the network's sizes
are factors of anchors, to which one number in pixels, or of no size, does what thousands of right
ones cannot undo.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from yolov2.boxes import SLIVER, FloatArray
from yolov2.config.data import KINDS, EdgePolicy, Kind, ValidateConfig
from yolov2.data.labels import texts
from yolov2.data.labels.conditions import (
    BOX_COLUMNS,
    EDGES,
    Between,
    BoolArray,
    Condition,
    IsNot,
    Unique,
    mostly_outside,
)
from yolov2.data.labels.files import MALFORMED
from yolov2.data.labels.texts import Context, Texts

Table = Literal["images", "lines", "boxes"]
LABEL_LINE = "class cx cy w h"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """All that is known of a kind of mistake.

    A row of the raw ``table`` that breaks one of the conditions ``wanted`` is such a mistake, and
    ``texts`` says what stands there, what is wrong and what to do. ``meaning`` ends the sentence
    "it is a mistake if". ``useless``: such a row is left out under every policy, else by ``drop``.
    """

    kind: Kind
    meaning: str
    table: Table
    wanted: Callable[[Context], tuple[Condition, ...]]
    texts: Texts
    useless: bool = True


def _inside(context: Context) -> tuple[Condition, ...]:
    low, high = -context.config.edge_tolerance, 1 + context.config.edge_tolerance
    edges = (
        Between(text=f"The {edge} edge is inside the image", column=edge, low=low, high=high)
        for edge in EDGES
    )
    middles = (
        Between(text=f"The middle is inside the image ({axis})", column=column, low=0, high=1)
        for column, axis in (("cx", "across"), ("cy", "down"))
    )
    return (*edges, *middles)


def _large_enough(_: Context) -> tuple[Condition, ...]:
    text = f"is at least {SLIVER:g} of the image's longer side"
    return (
        Between(text=f"The width {text}", column="canvas_w", low=SLIVER),
        Between(text=f"The height {text}", column="canvas_h", low=SLIVER),
    )


def _known_class(context: Context) -> tuple[Condition, ...]:
    last = context.classes - 1
    text = f"The class is one of 0 to {last}"
    return (Between(text=text, column="class_id", low=0, high=last),)


def _status(text: str, value: str) -> Callable[[Context], tuple[Condition, ...]]:
    return lambda _: (IsNot(text=text, column="status", value=value),)


def _form(text: str, value: str) -> Callable[[Context], tuple[Condition, ...]]:
    return lambda _: (IsNot(text=text, column="form", value=value),)


RULES = (
    Rule(
        kind="missing_image",
        meaning="a list names an image that does not exist",
        table="images",
        wanted=_status("Every image that is named exists", "missing"),
        texts=texts.always("reason", "image not found", "restore it, or take it off the list"),
    ),
    Rule(
        kind="unreadable_image",
        meaning="an image cannot be decoded, or only in part",
        table="images",
        wanted=_status("Every image can be decoded to its end", "unreadable"),
        texts=texts.always("reason", "image cannot be decoded", "replace or delete the image"),
    ),
    Rule(
        kind="malformed_line",
        meaning=f"a line is not `{LABEL_LINE}` in finite numbers",
        table="lines",
        wanted=_form(f"Every line is: {LABEL_LINE}, in finite numbers", MALFORMED),
        texts=texts.of_line,
    ),
    Rule(
        kind="class_out_of_range",
        meaning="the class is not one of 0 to the number of classes - 1",
        table="boxes",
        wanted=_known_class,
        texts=texts.of_class,
    ),
    Rule(
        kind="outside_image",
        meaning="an edge of the box is beyond [0, 1] by more than `edge_tolerance` (if its middle"
        " is not in the image, or it is larger than twice the image, it is left out always)",
        table="boxes",
        wanted=_inside,
        texts=texts.of_outside,
        useless=False,  # but see left_out
    ),
    Rule(
        kind="zero_size",
        meaning=f"width or height is less than {SLIVER:g} of the image's longer side",
        table="boxes",
        wanted=_large_enough,
        texts=texts.of_size,
    ),
    Rule(
        kind="duplicate",
        meaning="class and box equal those of an earlier line of the file",
        table="boxes",
        wanted=lambda _: (Unique(text="No box stands twice in a label file", columns=BOX_COLUMNS),),
        texts=texts.of_duplicate,
        useless=False,
    ),
)
"""Every kind, in the order of reports."""


def policies(config: ValidateConfig) -> dict[Kind, EdgePolicy]:
    """The policy of each kind of problem."""
    chosen = vars(config)
    return {kind: chosen[kind] for kind in KINDS}


def faults(table: Table, rows: pd.DataFrame, context: Context) -> dict[Kind, BoolArray]:
    """Which rows (N,) of the raw ``table`` break which of its rules."""
    return {
        rule.kind: np.logical_or.reduce([one.broken(rows) for one in rule.wanted(context)])
        for rule in RULES
        if rule.table == table
    }


def clipped(boxes: pd.DataFrame) -> FloatArray:
    """Boxes (N, 4) cx, cy, w, h, cut at the edges of their images."""
    edges = boxes[list(EDGES)].to_numpy().clip(0, 1)  # (N, 4)
    low, high = edges[:, :2], edges[:, 2:]
    return np.concatenate(((low + high) / 2, high - low), axis=1)


def left_out(
    boxes: pd.DataFrame, broken: Mapping[Kind, BoolArray], config: ValidateConfig
) -> BoolArray:
    """Which boxes (N,) the policies keep out of the label table; ``broken`` are their faults."""
    policy = policies(config)
    masks = [
        broken[rule.kind]
        for rule in RULES
        if rule.table == "boxes" and (rule.useless or policy[rule.kind] == "drop")
    ]
    masks.append(mostly_outside(boxes))
    if policy["outside_image"] == "clip":
        written = boxes[["w", "h"]].to_numpy()
        size = boxes[["canvas_w", "canvas_h"]].to_numpy()
        # of a box without a size the zero_size has spoken
        left = size * clipped(boxes)[:, 2:] / np.where(written == 0, 1, written)
        masks.append(np.any(left < SLIVER, axis=1))
    return np.asarray(np.logical_or.reduce(masks))
