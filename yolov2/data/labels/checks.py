"""From a data set to its label table: read, judge, apply the policies (see ``rules``)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from yolov2.config.data import Kind, ValidateConfig
from yolov2.data.description import DataDescription
from yolov2.data.labels.conditions import BoolArray
from yolov2.data.labels.findings import find_problems
from yolov2.data.labels.problems import Problem, errors
from yolov2.data.labels.raw_tables import Progress, RawTables, read_raw_tables
from yolov2.data.labels.rules import clipped, faults, left_out
from yolov2.data.labels.texts import Context
from yolov2.data.table import LabelTables


def load_tables(
    description: DataDescription, config: ValidateConfig, progress: Progress | None = None
) -> tuple[LabelTables, list[Problem]]:
    """The label table after the policies, and every problem whose policy is not ``ignore``.

    Problems of the policy ``error`` are the caller's to stop at, with ``DataError`` for one.

    Raises:
        ValueError: see ``read_raw_tables`` and ``judge``.
    """
    return judge(read_raw_tables(description, progress), config)


def judge(raw: RawTables, config: ValidateConfig) -> tuple[LabelTables, list[Problem]]:
    """The label table of ``raw`` after the policies, and what was found.

    Raises:
        ValueError: no image of a split can be read, and the policies let that pass.
    """
    context = Context(config=config, classes=len(raw.class_names))
    broken = faults("boxes", raw.boxes, context)
    tables, problems = _apply(raw, broken, config), find_problems(raw, broken, context)
    if not errors(problems):
        _refuse_lost_splits(raw, tables)
    return tables, problems


def _refuse_lost_splits(raw: RawTables, tables: LabelTables) -> None:
    for split in raw.images["split"].unique():
        if split not in tables.splits:
            first = raw.images[raw.images["split"] == split].iloc[0]
            raise ValueError(
                f"{split}: none of its images can be read; the first is '{first['image']}':"
                f" {first['reason']}"
            )


def _apply(raw: RawTables, broken: Mapping[Kind, BoolArray], config: ValidateConfig) -> LabelTables:
    usable = (raw.images["status"] == "ok").to_numpy()
    kept = ~left_out(raw.boxes, broken, config) & usable[raw.boxes["row"].to_numpy()]
    boxes = raw.boxes[kept]
    numbers = boxes[["cx", "cy", "w", "h"]].to_numpy(copy=True)  # (N, 4)
    if config.outside_image == "clip":
        cut = broken["outside_image"][kept]
        numbers[cut] = clipped(boxes)[cut]
    image_ids = np.cumsum(usable) - 1  # of each raw row, where it is usable
    rows = boxes["row"].to_numpy()
    of_box = raw.images.iloc[rows]
    names = pd.Series(raw.class_names, dtype="str")
    with np.errstate(over="ignore"):
        pixels = numbers[:, 2:] * of_box[["width", "height"]].to_numpy()  # (N, 2)
    labels = pd.DataFrame(
        {
            "split": of_box["split"].to_numpy(),
            "image_id": image_ids[rows],
            "image": of_box["image"].to_numpy(),
            "image_width": of_box["width"].to_numpy(),
            "image_height": of_box["height"].to_numpy(),
            "class_id": boxes["class_id"].to_numpy(),
            "class_name": names.iloc[boxes["class_id"].to_numpy()].to_numpy(),
            **dict(zip(("cx", "cy", "w", "h"), numbers.T, strict=True)),
            "pixel_width": pixels[:, 0],
            "pixel_height": pixels[:, 1],
            "file": of_box["label_file"].to_numpy(),
            "line": boxes["line"].to_numpy(),
        }
    )
    objects = np.bincount(rows, minlength=len(raw.images)).astype(np.int32)
    images = raw.images.assign(image_id=image_ids, objects=objects)[usable]
    columns = ["split", "image_id", "image", "width", "height", "objects", "md5"]
    return LabelTables(
        images=images[columns].reset_index(drop=True), labels=labels, class_names=raw.class_names
    )
