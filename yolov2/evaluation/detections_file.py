"""Detections of a split in a file, so that they are judged, merged and compared without a network.

Parquet, one row a detection: ``image_id``, ``image`` (path), ``class_id``, ``score``, ``x1``,
``y1``, ``x2``, ``y2`` in pixels of the image; of COCO results, which have more digits, also
``width`` and ``height`` as they were given. The file's metadata holds under the key ``yolov2``
what they are of, as JSON; with the ids of all images that were looked at, as one without a
detection has no row.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from yolov2.config.section import require
from yolov2.detection.detections import Detections
from yolov2.evaluation.annotated import AnnotatedImages

NAME = "detections.parquet"
KEY = b"yolov2"
BOX = ("x1", "y1", "x2", "y2")
SIZE = ("width", "height")


def _schema(number: pa.DataType, *more: str) -> pa.Schema:
    numbers = [(name, number) for name in ("score", *BOX, *more)]
    return pa.schema(
        [("image_id", pa.int64()), ("image", pa.string()), ("class_id", pa.int64()), *numbers]
    )


OURS, OTHERS = _schema(pa.float32()), _schema(pa.float64(), *SIZE)
"""Of our detector, and of other tools."""


@dataclass(frozen=True, kw_only=True)
class SavedDetections:
    """Detections by image id, and what they are of: classes, split, the data's digest.

    Every image that was looked at has an entry, be it empty.
    """

    detections: Mapping[int, Detections]
    class_names: tuple[str, ...]
    split: str
    data_digest: str


def write_detections(
    path: Path, detections: Mapping[int, Detections], annotated: AnnotatedImages
) -> None:
    """Write the detections of all images of ``annotated``, or of a share of them."""
    image_ids = list(detections)
    found = [detections[i] for i in image_ids]
    counts = [len(some) for some in found]
    paths = annotated.paths
    boxes = np.concatenate([np.zeros((0, 4)), *(some.boxes_xyxy for some in found)])
    sizes = np.concatenate([np.zeros((0, 2)), *(some.boxes_ltwh[:, 2:] for some in found)])
    fields = OURS if all(some.given_ltwh is None for some in found) else OTHERS
    columns = {
        "image_id": np.repeat(np.array(image_ids, dtype=np.int64), counts),
        "image": np.repeat(np.array([paths[i] for i in image_ids], dtype=object), counts),
        "class_id": np.concatenate([np.zeros(0, np.int64), *(some.class_ids for some in found)]),
        "score": np.concatenate([np.zeros(0), *(some.scores for some in found)]),
        **dict(zip((*BOX, *SIZE), (*boxes.T, *sizes.T), strict=True)),
    }
    about = {
        "class_names": annotated.class_names,
        "data_digest": annotated.digest,
        "split": annotated.split,
        "images": len(image_ids),
        "image_ids": image_ids,
    }
    arrays = [pa.array(columns[field.name]).cast(field.type) for field in fields]
    schema = fields.with_metadata({KEY: json.dumps(about, ensure_ascii=False)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path, compression="zstd")


def read_detections(path: Path) -> SavedDetections:
    """Read what ``write_detections`` wrote.

    Raises:
        ValueError: no such file, or it is none of these.
    """
    try:
        table = pq.read_table(path)
        about = json.loads((table.schema.metadata or {})[KEY])
        image_ids = [int(image_id) for image_id in about["image_ids"]]
        fields = OTHERS if SIZE[0] in table.schema.names else OURS
        columns = {name: table[name].to_numpy() for name in fields.names if name != "image"}
        names, split = tuple(map(str, about["class_names"])), str(about["split"])
        data_digest = str(about["data_digest"])
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{path}: not detections of `yolov2 evaluate` ({type(error).__name__}: {error})"
        ) from None
    place = ("x1", "y1", *SIZE)
    found = by_image(
        columns["image_id"],
        np.stack([columns[side] for side in BOX], axis=1),
        columns["score"],
        columns["class_id"],
        np.stack([columns[name] for name in place], axis=1) if fields is OTHERS else None,
    )
    return SavedDetections(
        detections={image_id: found.get(image_id, no_detections()) for image_id in image_ids},
        class_names=names,
        split=split,
        data_digest=data_digest,
    )


def detections_of(file: Path, annotated: AnnotatedImages) -> Mapping[int, Detections]:
    """The detections in a file by image id, which are of images of ``annotated``.

    Raises:
        ValueError: no such file, it is none of these, or of other data.
    """
    saved = read_detections(file)
    require(
        saved.data_digest == annotated.digest and saved.class_names == annotated.class_names,
        f"{file}: these are detections of other data (split {saved.split}, digest"
        f" {saved.data_digest[:12]}) than the one given (split {annotated.split}, digest"
        f" {annotated.digest[:12]})",
    )
    return saved.detections


def by_image(
    image_ids: NDArray[np.int64],
    boxes_xyxy: NDArray[np.floating],
    scores: NDArray[np.floating],
    class_ids: NDArray[np.int64],
    given_ltwh: NDArray[np.float64] | None = None,
) -> dict[int, Detections]:
    """Columns (N, ...) of the detections of many images, by image id and by descending score."""
    order = np.lexsort((-scores, image_ids))  # stable: equal scores stay in the file's order
    ids, first = np.unique(image_ids[order], return_index=True)
    parts = np.split(order, first[1:]) if len(ids) else []
    return {
        int(image_id): Detections(
            boxes_xyxy=boxes_xyxy[part],
            scores=scores[part],
            class_ids=class_ids[part],
            given_ltwh=None if given_ltwh is None else given_ltwh[part],
        )
        for image_id, part in zip(ids, parts, strict=True)
    }


def no_detections() -> Detections:
    """Of an image in which nothing was found."""
    return Detections(
        boxes_xyxy=np.zeros((0, 4), dtype=np.float32),
        scores=np.zeros(0, dtype=np.float32),
        class_ids=np.zeros(0, dtype=np.int64),
    )
