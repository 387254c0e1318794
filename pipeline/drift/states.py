"""The two states that ``pipeline drift`` compares, and what it looks at in them."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import paths
from pipeline.drift.measures import Values
from pipeline.workspace.dvc import cached_file, kept_file
from pipeline.workspace.dvc_files import DVC_LOCK, read_yaml
from yolov2.data.table import DATASET_FILE, IMAGES_FILE, LABELS_FILE, LabelTables


def _floats(column: "pd.Series[float]") -> Values:
    return column.to_numpy().astype(np.float64)


PROPERTIES: dict[str, Callable[[pd.DataFrame, pd.DataFrame], Values]] = {
    "boxes of an image": lambda images, boxes: _floats(images["objects"]),
    "box area, share of the image": lambda images, boxes: _floats(boxes["w"] * boxes["h"]),
    "box aspect, width / height": lambda images, boxes: _floats(
        boxes["pixel_width"] / boxes["pixel_height"]
    ),
    "image size, megapixels": lambda images, boxes: _floats(
        images["width"] * (images["height"] / 1e6)
    ),
    "image aspect, width / height": lambda images, boxes: _floats(
        images["width"] / images["height"]
    ),
}
"""A number for each image or box of a split, from its rows of both tables."""


TRAINED = "trained"
"""Name of the reference that is what the last training has read, by ``dvc.lock``."""


def rows_of(tables: LabelTables, split: str, state: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The images and the boxes of ``split``.

    Raises:
        ValueError: there are none; ``state`` says in which of the two states.
    """
    images = tables.images[tables.images["split"] == split]
    boxes = tables.labels[tables.labels["split"] == split]
    if images.empty or boxes.empty:
        what = "image" if images.empty else "box"
        raise ValueError(f"the {state} data have no {what} in {split}: measure another split")
    return images, boxes


def read_reference(reference: str) -> LabelTables:
    """The label tables in the folder ``reference``, or those of a git revision's ``dvc.lock``.

    ``TRAINED`` are those that the last training in this folder has read.

    Raises:
        ValueError: neither folder nor revision, or DVC has the tables no more.
    """
    if reference == TRAINED:
        return _read_trained()
    if Path(reference).is_dir():
        return LabelTables.read(Path(reference))
    with tempfile.TemporaryDirectory() as folder:
        try:
            for name in (LABELS_FILE, IMAGES_FILE, DATASET_FILE):
                content = kept_file(paths.ARTIFACTS / name, reference)
                (Path(folder) / name).write_bytes(content)
        except LookupError as error:
            raise ValueError(
                f"--reference {reference}: neither a folder with the label table nor a git revision"
                f" that DVC has it for ({error}): name another one, or get it with"
                " `dvc fetch --all-commits` where there is a remote"
            ) from None
        return LabelTables.read(Path(folder))


def _read_trained() -> LabelTables:
    lock = read_yaml(DVC_LOCK)
    known = {dep["path"]: dep["md5"] for dep in lock["stages"]["train"]["deps"]}
    with tempfile.TemporaryDirectory() as folder:
        for name in (LABELS_FILE, IMAGES_FILE, DATASET_FILE):
            path = (paths.ARTIFACTS / name).as_posix()
            try:
                shutil.copy(cached_file(known[path]), Path(folder) / name)
            except FileNotFoundError:
                raise ValueError(
                    f"{path} of the last training is not in DVC's cache any more: get it with"
                    " `dvc fetch`, or name another --reference"
                ) from None
        return LabelTables.read(Path(folder))
