"""The label table: what every step after validation works from, and its digest.

``images`` has one row an image, images without objects included; ``labels`` one row a box.
Paths in them are relative to the data root, so that neither table nor digest depends on where
the data lies. Column types: ``IMAGES_SCHEMA`` and ``LABELS_SCHEMA``.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from yolov2.files import write_json

IMAGES_SCHEMA = pa.schema(
    [
        ("split", pa.string()),  # train, val or test, in this order
        ("image_id", pa.int64()),  # 0, 1, ... over all splits
        ("image", pa.string()),  # path, relative to the data root, with forward slashes
        ("width", pa.int32()),  # pixels, of the image turned as its EXIF orientation says
        ("height", pa.int32()),
        ("objects", pa.int32()),  # number of boxes
        ("md5", pa.string()),  # of the file's bytes, 32 hexadecimal digits
    ]
)
LABELS_SCHEMA = pa.schema(
    [
        ("split", pa.string()),
        ("image_id", pa.int64()),
        ("image", pa.string()),
        ("image_width", pa.int32()),
        ("image_height", pa.int32()),
        ("class_id", pa.int32()),
        ("class_name", pa.string()),
        ("cx", pa.float64()),  # centre and size as shares of the image
        ("cy", pa.float64()),
        ("w", pa.float64()),
        ("h", pa.float64()),
        ("pixel_width", pa.float64()),
        ("pixel_height", pa.float64()),
        ("file", pa.string()),  # label file, relative to the data root
        ("line", pa.int32()),  # 1-based line in it
    ]
)
IMAGES_FILE, LABELS_FILE, DATASET_FILE = "images.parquet", "labels.parquet", "dataset.json"


@dataclass(frozen=True, kw_only=True)
class LabelTables:
    """Images and boxes of a data set, after the policies of ``validate``, and its class names."""

    images: pd.DataFrame
    labels: pd.DataFrame
    class_names: tuple[str, ...]

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have images, in the order of the table."""
        return tuple(str(split) for split in self.images["split"].unique())

    def write(self, folder: Path) -> None:
        """Write ``images.parquet``, ``labels.parquet`` and ``dataset.json`` into ``folder``.

        Equal tables give equal bytes.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for name, table, schema in (
            (IMAGES_FILE, self.images, IMAGES_SCHEMA),
            (LABELS_FILE, self.labels, LABELS_SCHEMA),
        ):
            columns = table[schema.names]
            typed = pa.Table.from_pandas(columns, schema=schema, preserve_index=False)
            # pandas would add its own version to the file, and so to DVC's hash
            pq.write_table(typed.replace_schema_metadata(None), folder / name)
        write_json(folder / DATASET_FILE, describe(self))

    @classmethod
    def read(cls, folder: Path) -> "LabelTables":
        """Read what ``write`` wrote.

        Raises:
            ValueError: a file is missing, unreadable, or has other columns.
        """
        try:
            dataset = json.loads((folder / DATASET_FILE).read_text(encoding="utf-8"))
            names = tuple(dataset["class_names"])
            images = _read(folder / IMAGES_FILE, IMAGES_SCHEMA)
            labels = _read(folder / LABELS_FILE, LABELS_SCHEMA)
        except FileNotFoundError as error:
            raise ValueError(f"{error.filename} not found: run the stage validate") from None
        except (pa.ArrowInvalid, KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(
                f"the label table in {folder} cannot be read ({error}): run validate again"
            ) from None
        return cls(images=images, labels=labels, class_names=names)


def _read(file: Path, schema: pa.Schema) -> pd.DataFrame:
    with file.open("rb") as stream:
        table = pq.read_table(stream)
    if not table.schema.equals(schema):
        raise pa.ArrowInvalid(f"{file.name} has other columns than this version writes")
    frame: pd.DataFrame = table.to_pandas()
    return frame


def describe(tables: LabelTables) -> dict[str, Any]:
    """Class names, counts of each split and the data's digest, as plain values."""
    images, labels = tables.images, tables.labels
    names = list(tables.class_names)
    splits = {}
    for split in tables.splits:
        objects = images.loc[images["split"] == split, "objects"].to_numpy()
        classes = labels.loc[labels["split"] == split, "class_id"].to_numpy()
        counts = np.bincount(classes, minlength=len(names))
        splits[split] = {
            "images": len(objects),
            "images_without_objects": int((objects == 0).sum()),
            "boxes": len(classes),
            "boxes_by_class": dict(zip(names, counts.tolist(), strict=True)),
        }
    return {"class_names": names, "splits": splits, "digest": digest(tables)}


def digest(tables: LabelTables) -> dict[str, str]:
    """sha256 (hexadecimal) of each split's content, and of all under ``"all"``.

    It covers class names, the images' bytes (by their md5) and sizes, and the boxes, in the
    order of the tables; not names of files, nor where they lie.
    """
    result = {}
    for split in tables.splits:
        images = tables.images[tables.images["split"] == split]
        labels = tables.labels[tables.labels["split"] == split]
        sizes = images[["width", "height", "objects"]].to_numpy(dtype="<i4")
        boxes = labels[["cx", "cy", "w", "h"]].to_numpy(dtype="<f8")
        result[split] = _sha256(
            [
                json.dumps(list(tables.class_names)).encode(),
                "".join(images["md5"]).encode(),
                np.ascontiguousarray(sizes).tobytes(),
                labels["class_id"].to_numpy(dtype="<i4").tobytes(),
                np.ascontiguousarray(boxes).tobytes(),
            ]
        )
    result["all"] = _sha256(f"{split} {value}\n".encode() for split, value in result.items())
    return result


def _sha256(parts: Iterable[bytes]) -> str:
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(len(part).to_bytes(8, "little") + part)
    return hasher.hexdigest()
