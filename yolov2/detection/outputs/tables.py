"""Detections as rows: COCO results, CSV and Parquet, written while they come.

A file gets its name when all inputs were worked through; until then it is ``NAME.partial``. A run
that fails or is interrupted leaves that, well-formed, with what was found until then, or nothing
if that is nothing.
"""

import csv
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow import parquet

from yolov2.detection.outputs.coco_ids import CocoIds
from yolov2.detection.stream import Detected

ROW_GROUP = 50_000
"""Rows of Parquet that are kept in memory before they are written."""

SCHEMA = pa.schema(
    [
        ("image_id", pa.int64()),
        ("image", pa.string()),
        ("frame", pa.int64()),
        ("class_id", pa.int64()),
        ("class_name", pa.string()),
        ("score", pa.float32()),
        ("x1", pa.float32()),
        ("y1", pa.float32()),
        ("x2", pa.float32()),
        ("y2", pa.float32()),
    ]
)


class Row(NamedTuple):
    """A detection: ``image_id`` as in the COCO results, box in pixels of the image.

    ``frame`` is None but for a video; ``class_id`` is the model's own number.
    """

    image_id: int
    image: str
    frame: int | None
    class_id: int
    class_name: str
    score: float
    x1: float
    y1: float
    x2: float
    y2: float


def rows(found: Detected, image_id: int) -> Iterator[Row]:
    """A row for each detection."""
    frame = None if found.video is None else found.video.frame
    class_ids = found.detections.class_ids.tolist()
    for class_id, (box, score, name) in zip(class_ids, found.detections, strict=True):
        yield Row(image_id, found.name, frame, class_id, name, score, *box)


class JsonWriter:
    """A list of COCO results: image_id, category_id, bbox [left, top, width, height], score.

    ``file_name`` and ``category_name`` are for people; pycocotools passes over them.
    """

    def __init__(self, path: Path, ids: CocoIds) -> None:
        self._path, self._ids = path, ids
        self._file = partial(path).open("w", encoding="utf-8")
        self._between = "[\n"

    def __call__(self, found: Detected) -> None:
        """Append the image's detections."""
        for row in rows(found, self._ids.image(found)):
            self._file.write(self._between + json.dumps(self._entry(row), ensure_ascii=False))
            self._between = ",\n"

    def close(self, *, whole: bool) -> None:
        """End the list; the file gets its name if it is ``whole``."""
        empty = self._between == "[\n"
        self._file.write("[]\n" if empty else "\n]\n")
        self._file.close()
        _finish(self._path, whole=whole, empty=empty)

    def _entry(self, row: Row) -> dict[str, Any]:
        left, top, right, bottom = (round(edge, 2) for edge in (row.x1, row.y1, row.x2, row.y2))
        entry = {
            "image_id": row.image_id,
            "category_id": self._ids.category(row.class_id),
            "bbox": [left, top, round(right - left, 2), round(bottom - top, 2)],
            "score": round(row.score, 5),
            "file_name": row.image,
            "category_name": row.class_name,
        }
        return entry if row.frame is None else entry | {"frame": row.frame}


class CsvWriter:
    """A line for each detection, the columns of ``Row``."""

    def __init__(self, path: Path, ids: CocoIds) -> None:
        self._path, self._ids = path, ids
        self._file = partial(path).open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(Row._fields)
        self._empty = True

    def __call__(self, found: Detected) -> None:
        """Append the image's detections."""
        for row in rows(found, self._ids.image(found)):
            numbers = (round(row.score, 5), *(round(edge, 2) for edge in row[6:]))
            self._writer.writerow((*row[:5], *numbers))
            self._empty = False

    def close(self, *, whole: bool) -> None:
        """The file gets its name if it is ``whole``."""
        self._file.close()
        _finish(self._path, whole=whole, empty=self._empty)


class ParquetWriter:
    """A row for each detection, the columns of ``Row``."""

    def __init__(self, path: Path, ids: CocoIds) -> None:
        self._path, self._ids = path, ids
        self._writer = parquet.ParquetWriter(partial(path), SCHEMA)
        self._rows: list[Row] = []
        self._empty = True

    def __call__(self, found: Detected) -> None:
        """Append the image's detections."""
        self._rows += rows(found, self._ids.image(found))
        if len(self._rows) >= ROW_GROUP:
            self._flush()

    def close(self, *, whole: bool) -> None:
        """Write the rest; the file gets its name if it is ``whole``."""
        self._flush()
        self._writer.close()
        _finish(self._path, whole=whole, empty=self._empty)

    def _flush(self) -> None:
        self._empty = self._empty and not self._rows
        entries = [row._asdict() for row in self._rows]
        self._writer.write_table(pa.Table.from_pylist(entries, schema=SCHEMA))
        self._rows = []


TABLES: dict[str, Callable[[Path, CocoIds], JsonWriter | CsvWriter | ParquetWriter]] = {
    "json": JsonWriter,
    "csv": CsvWriter,
    "parquet": ParquetWriter,
}
"""What makes the table of each file ending."""


def partial(path: Path) -> Path:
    """Where a table is until it is whole."""
    return path.with_name(f"{path.name}.partial")


def _finish(path: Path, *, whole: bool, empty: bool) -> None:
    if whole:
        os.replace(partial(path), path)
    elif empty:
        partial(path).unlink()
