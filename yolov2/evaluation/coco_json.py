"""COCO's JSON files: annotated images (``instances_*.json``) and results.

Crowds, areas and gaps in the ids are kept, so that the figures are those of the official tools.
Boxes become left, top, right, bottom: that may round their sides in the sixteenth digit, which
could only decide about an overlap of exactly a threshold.

Letters of the shapes: N boxes.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yolov2.detection.detections import Detections, GroundTruth
from yolov2.evaluation.annotated import AnnotatedImages
from yolov2.section import require

RESULT_KEYS = ("image_id", "category_id", "bbox", "score")


def read_annotations(
    file: Path, folder: Path | None, class_names: Sequence[str] | None, split: str
) -> AnnotatedImages:
    """The annotated images of ``file``; ``folder`` holds the image files, if they are needed.

    Categories become the classes ``class_names`` by name; without these every category of the
    file is a class, in the order of the ids.

    Raises:
        ValueError: no such file, not COCO's format, or a category with objects is no class.
    """
    content = _read(file)
    require(isinstance(content, dict), f"{file}: not COCO annotations: it is no object with lists")
    lists = {key: content.get(key) for key in ("images", "annotations", "categories")}
    for key, items in lists.items():
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise ValueError(f"{file}: not COCO annotations: it has no list '{key}'")
    try:
        return _annotated(file, folder, lists, class_names, split)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file}: not COCO annotations: {error!r} is missing or wrong") from None


def read_results(file: Path, annotated: AnnotatedImages) -> dict[int, Detections]:
    """The detections of a results file by image id, only of images that have some.

    Raises:
        ValueError: no such file, not COCO's format, or an image or category that
            ``annotated`` does not have.
    """
    content = _read(file)
    if not isinstance(content, list):
        raise ValueError(f"{file}: not COCO results: it is not a list of detections")
    try:
        columns = {key: [item[key] for item in content] for key in RESULT_KEYS}
        boxes = _boxes_xyxy(columns["bbox"])
        scores = np.array(columns["score"], dtype=np.float64)
        image_ids = np.array(columns["image_id"], dtype=np.int64)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file}: not COCO results: {error!r} is missing or wrong") from None
    unknown = next((i for i in image_ids.tolist() if i not in annotated.truth), None)
    require(
        unknown is None,
        f"{file}: image_id {unknown} is none of the {len(annotated.truth)} annotated images",
    )
    class_of = {category: k for k, category in enumerate(annotated.category_ids)}
    strange = next((k for k in columns["category_id"] if k not in class_of), None)
    require(
        strange is None,
        f"{file}: category_id {strange} is none of the annotated ones"
        f" ({', '.join(map(str, sorted(class_of)[:20]))})",
    )
    class_ids = np.array([class_of[k] for k in columns["category_id"]], dtype=np.int64)
    return by_image(image_ids, boxes, scores, class_ids)


def by_image(
    image_ids: NDArray[np.int64],
    boxes_xyxy: NDArray[np.floating],
    scores: NDArray[np.floating],
    class_ids: NDArray[np.int64],
) -> dict[int, Detections]:
    """Columns (N, ...) of the detections of many images, by image id and by descending score."""
    order = np.lexsort((-scores, image_ids))  # stable: equal scores stay in the file's order
    ids, first = np.unique(image_ids[order], return_index=True)
    parts = np.split(order, first[1:]) if len(ids) else []
    return {
        int(image_id): Detections(
            boxes_xyxy=boxes_xyxy[part], scores=scores[part], class_ids=class_ids[part]
        )
        for image_id, part in zip(ids, parts, strict=True)
    }


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{file}: no such file") from None
    except OSError as error:
        raise ValueError(f"{file}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ValueError(f"{file}: not JSON ({error})") from None


def _annotated(
    file: Path,
    folder: Path | None,
    lists: Mapping[str, Any],
    class_names: Sequence[str] | None,
    split: str,
) -> AnnotatedImages:
    categories = {int(c["id"]): str(c["name"]) for c in lists["categories"]}
    annotations = lists["annotations"]
    used = {int(a["category_id"]) for a in annotations}
    names = tuple(class_names or (categories[k] for k in sorted(categories)))
    for category in sorted(used):
        name = categories.get(category)
        require(
            name in names,
            f"{file}: category {category} ('{name}') is no class of the model, which has"
            f" {', '.join(names[:20])}: classes go by name",
        )
    ids = {name: category for category, name in sorted(categories.items(), reverse=True)}
    images = pd.DataFrame(
        {
            "image_id": [int(i["id"]) for i in lists["images"]],
            "image": [str(i["file_name"]) for i in lists["images"]],
            "width": [int(i["width"]) for i in lists["images"]],
            "height": [int(i["height"]) for i in lists["images"]],
        }
    )
    require(len(images) > 0, f"{file}: it has no images")
    require(not images["image_id"].duplicated().any(), f"{file}: two images have the same id")
    twice = sorted({n for n in categories.values() if list(categories.values()).count(n) > 1})
    require(not twice, f"{file}: several categories are called '{', '.join(map(str, twice))}'")
    class_of = {category: names.index(categories[category]) for category in used}
    return AnnotatedImages(
        split=split,
        class_names=names,
        truth=_truth(file, images["image_id"].tolist(), annotations, class_of),
        images=images,
        root=folder,
        digest=hashlib.sha256(file.read_bytes()).hexdigest(),
        # a class without a category in the file cannot appear in results for it
        category_ids=tuple(ids.get(name, -1 - k) for k, name in enumerate(names)),
    )


def _truth(
    file: Path, image_ids: list[int], annotations: list[Any], class_of: Mapping[int, int]
) -> dict[int, GroundTruth]:
    """The objects of every image, in the file's order."""
    rows: dict[int, list[int]] = {image_id: [] for image_id in image_ids}
    for row, annotation in enumerate(annotations):
        image_id = int(annotation["image_id"])
        require(image_id in rows, f"{file}: annotation {row}: image_id {image_id} has no image")
        rows[image_id].append(row)
    boxes = _boxes_xyxy([annotation["bbox"] for annotation in annotations])
    class_ids = np.array([class_of[a["category_id"]] for a in annotations], dtype=np.int64)
    crowd = np.array([bool(a.get("iscrowd", 0)) for a in annotations], dtype=np.bool_)
    areas = np.array(
        [a.get("area", a["bbox"][2] * a["bbox"][3]) for a in annotations], dtype=np.float64
    )
    require(bool((~crowd).any()), f"{file}: it has no object, and average precision needs some")
    return {
        image_id: GroundTruth(
            boxes_xyxy=boxes[where],
            class_ids=class_ids[where],
            crowd=crowd[where],
            areas=areas[where],
        )
        for image_id, where in rows.items()
    }


def _boxes_xyxy(boxes_ltwh: list[Any]) -> NDArray[np.float64]:
    """Boxes (N, 4) left, top, width, height -> (N, 4) left, top, right, bottom."""
    boxes = np.array(boxes_ltwh, dtype=np.float64).reshape(len(boxes_ltwh), 4)
    return np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), axis=1)
