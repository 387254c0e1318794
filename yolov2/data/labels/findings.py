"""Broken rules as problems for people: file, line, value, what is wrong, what to do."""

from collections.abc import Iterator, Mapping
from math import ceil, floor, log10

import numpy as np
import pandas as pd

from yolov2.boxes import SLIVER, FloatArray
from yolov2.config.data import ValidateConfig
from yolov2.data.labels.problems import KINDS, Kind, Problem
from yolov2.data.labels.raw_tables import RawTables
from yolov2.data.labels.rules import BOX_COLUMNS, EDGES, BoolArray, mostly_outside, policies

ROUNDING = 0.001
"""Up to this share beyond the edge a box overruns it for the digits that its writer kept."""

CORNERS_SHARE = 0.99
"""With so many of the boxes looking like corners, they are."""

_NO_AREA = ("the box has no area", "correct or delete the line")
_TOO_SMALL = (
    f"narrower or lower than {SLIVER:g} of the image's longer side",
    "correct or delete the line; real objects: cut the image in tiles",
)

_Finding = tuple[int, Kind, int | None, str, str, str]
"""Row of the image table, kind, line, value, message, advice."""


def find_problems(
    raw: RawTables, faults: Mapping[Kind, BoolArray], config: ValidateConfig
) -> list[Problem]:
    """Every problem whose policy is not ``ignore``, by split, image and line.

    ``faults`` are those of ``raw.boxes`` from ``box_faults``.
    """
    policy = policies(config)
    findings: list[_Finding] = [
        (row, "malformed_line", bad.line, bad.value, bad.message, bad.advice)
        for row, bad in raw.bad_lines
    ]
    findings += _image_findings(raw.images)
    for kind, mask in faults.items():
        if policy[kind] != "ignore" and mask.any():
            findings += _box_findings(kind, raw.boxes, mask, config, len(raw.class_names))
    findings = [finding for finding in findings if policy[finding[1]] != "ignore"]
    findings.sort(key=lambda finding: (finding[0], finding[2] or 0, KINDS.index(finding[1])))
    images, label_files = raw.images["image"].tolist(), raw.images["label_file"].tolist()
    return [
        Problem(
            kind=kind,
            policy=policy[kind],
            file=images[row] if kind in ("missing_image", "unreadable_image") else label_files[row],
            line=line,
            value=value,
            message=message,
            advice=advice,
        )
        for row, kind, line, value, message, advice in findings
    ]


def _image_findings(images: pd.DataFrame) -> Iterator[_Finding]:
    status, reason = images["status"].to_numpy(), images["reason"].to_numpy()
    for row in np.flatnonzero(status == "missing"):
        message, advice = "image not found", "restore it, or take it off the list"
        yield int(row), "missing_image", None, reason[row], message, advice
    for row in np.flatnonzero(status == "unreadable"):
        message, advice = "image cannot be decoded", "replace or delete the image"
        yield int(row), "unreadable_image", None, reason[row], message, advice


def _box_findings(
    kind: Kind, boxes: pd.DataFrame, mask: BoolArray, config: ValidateConfig, classes: int
) -> Iterator[_Finding]:
    bad = boxes[mask]
    if kind == "class_out_of_range":
        values = [str(class_id) for class_id in bad["class_id"]]
        message = f"class is not one of 0 to {classes - 1}"
        texts = [(message, "correct it, or names in the description")] * len(bad)
    elif kind == "zero_size":
        values = [f"w={w:g} h={h:g}" for w, h in zip(bad["w"], bad["h"], strict=True)]
        positive = (bad[["w", "h"]] > 0).all(axis=1)
        texts = [_TOO_SMALL if some else _NO_AREA for some in positive]
    elif kind == "duplicate":
        values = [f"line {line}" for line in _first_lines(boxes, mask)]
        texts = [("repeats an earlier line", "delete one of them")] * len(bad)
    else:
        values, texts = _outside_texts(bad, boxes, config.edge_tolerance)
    for row, line, value, (message, advice) in zip(
        bad["row"].tolist(), bad["line"].tolist(), values, texts, strict=True
    ):
        yield row, kind, line, value, message, advice


def _first_lines(boxes: pd.DataFrame, mask: BoolArray) -> list[int]:
    """For each repeated box the line where it stands first."""
    repeated = boxes[boxes.duplicated(BOX_COLUMNS, keep=False)]
    first = repeated.groupby(BOX_COLUMNS)["line"].transform("first")
    return first[pd.Series(mask, index=boxes.index)[repeated.index]].tolist()


def _outside_texts(
    bad: pd.DataFrame, boxes: pd.DataFrame, tolerance: float
) -> tuple[list[str], list[tuple[str, str]]]:
    values, texts = [], []
    corners = _are_corners(boxes)
    rows = zip(bad[list(EDGES)].to_numpy(), mostly_outside(bad).tolist(), strict=True)
    for edges, mostly in rows:
        beyond = (edges < -tolerance) | (edges > 1 + tolerance)
        named = zip(EDGES, edges, beyond | ~beyond.any(), strict=True)
        values.append(" ".join(f"{name}={edge:.9g}" for name, edge, out in named if out))
        message = "most of the box is outside the image" if mostly else "the box leaves the image"
        texts.append((message, _outside_advice(edges, mostly, corners)))
    return values, texts


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
