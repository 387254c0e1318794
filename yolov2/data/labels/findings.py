"""Broken rules as problems for people: file, line, value, what is wrong, what to do."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from yolov2.config.data import KINDS, Kind
from yolov2.data.labels.conditions import BoolArray
from yolov2.data.labels.problems import Problem
from yolov2.data.labels.raw_tables import RawTables
from yolov2.data.labels.rules import RULES, Table, faults, policies
from yolov2.data.labels.texts import Context


def find_problems(
    raw: RawTables, of_boxes: Mapping[Kind, BoolArray], context: Context
) -> list[Problem]:
    """Every problem whose policy is not ``ignore``, by split, image and line.

    ``of_boxes`` are the faults of ``raw.boxes``.
    """
    policy = policies(context.config)
    tables = _tables(raw)
    broken = {**of_boxes}
    for name in ("images", "lines"):
        broken |= faults(name, tables[name], context)
    names = {"images": raw.images["image"].tolist(), "lines": raw.images["label_file"].tolist()}
    names["boxes"] = names["lines"]
    found: list[tuple[int, Problem]] = []
    for rule in RULES:
        if policy[rule.kind] == "ignore" or not broken[rule.kind].any():
            continue
        table = tables[rule.table]
        bad = table[broken[rule.kind]]
        for row, line, (value, message, advice) in zip(
            bad["row"].tolist(), bad["line"].tolist(), rule.texts(bad, table, context), strict=True
        ):
            problem = Problem(
                kind=rule.kind,
                policy=policy[rule.kind],
                file=names[rule.table][row],
                line=line,
                value=value,
                message=message,
                advice=advice,
            )
            found.append((row, problem))
    found.sort(key=lambda one: (one[0], one[1].line or 0, KINDS.index(one[1].kind)))
    return [problem for _, problem in found]


def _tables(raw: RawTables) -> dict[Table, pd.DataFrame]:
    """The raw tables, each with the columns ``row`` (of the images) and ``line``; bad lines alone.

    A line of None stands for the file as a whole.
    """
    images = raw.images.assign(row=np.arange(len(raw.images)), line=None)
    lines = pd.DataFrame(
        [
            (row, bad.line, bad.form, bad.value, bad.message, bad.advice)
            for row, bad in raw.bad_lines
        ],
        columns=["row", "line", "form", "value", "message", "advice"],
        dtype=object,
    )
    return {"images": images, "lines": lines, "boxes": raw.boxes}
