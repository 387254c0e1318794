"""The two states that ``pipeline.drift`` compares, and what it looks at in them."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import paths
from pipeline.drift_measures import Values
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

    Raises:
        ValueError: neither folder nor revision, or DVC has the tables no more.
    """
    if Path(reference).is_dir():
        return LabelTables.read(Path(reference))
    # 0.4 s to import, and only this needs it
    from dvc.api import DVCFileSystem

    with tempfile.TemporaryDirectory() as folder:
        try:
            kept = DVCFileSystem(rev=reference)
            for name in (LABELS_FILE, IMAGES_FILE, DATASET_FILE):
                content = kept.read_bytes((paths.ARTIFACTS / name).as_posix())
                (Path(folder) / name).write_bytes(content)
        except Exception as error:  # DVC's, git's and fsspec's own kinds, none of them in dvc.api
            said = " ".join(str(error).split())
            raise ValueError(
                f"--reference {reference}: neither a folder with the label table nor a git revision"
                f" that DVC has it for ({said}): name another one, or get it with"
                " `dvc fetch --all-commits` where there is a remote"
            ) from None
        return LabelTables.read(Path(folder))
