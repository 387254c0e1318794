"""COCO's JSON files: annotated images (``instances_*.json``) and results.

Crowds, areas, gaps in the ids and every digit of the boxes are kept, so that the figures are those
of the official tools, also where an overlap is exactly a threshold.

Letters of the shapes: N boxes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yolov2.boxes import ltwh_to_xyxy
from yolov2.config.section import require
from yolov2.detection.coco_entries import Entries, entries, objects, read_json
from yolov2.detection.detections import Detections, GroundTruth
from yolov2.evaluation.annotated import AnnotatedImages
from yolov2.evaluation.detections_file import by_image
from yolov2.files import file_sha256

WHAT = "COCO annotations"
LISTS = ("images", "annotations", "categories")
MOST_PIXELS = 2**31
"""A side of an image is less."""


def read_annotations(
    file: Path, folder: Path | None, class_names: Sequence[str] | None, split: str
) -> AnnotatedImages:
    """The annotated images of ``file``; ``folder`` holds the image files, if they are needed.

    Categories become the classes ``class_names`` by name; without these every category of the
    file is a class, in the order of the ids.

    Raises:
        ValueError: no such file, not COCO's format, or a category with objects is no class.
    """
    content = read_json(file)
    listed = {name: entries(file, content, name, WHAT) for name in LISTS}
    images, categories = _images(listed["images"]), _categories(listed["categories"])
    names = tuple(class_names or (categories[k] for k in sorted(categories)))
    ids = {name: category for category, name in sorted(categories.items(), reverse=True)}
    return AnnotatedImages(
        split=split,
        class_names=names,
        truth=_truth(images["image_id"].tolist(), listed["annotations"], categories, names),
        images=images,
        root=folder,
        digest=file_sha256(file),
        # a class without a category in the file cannot appear in results for it
        category_ids=tuple(ids.get(name, -1 - k) for k, name in enumerate(names)),
    )


def read_results(file: Path, annotated: AnnotatedImages) -> dict[int, Detections]:
    """The detections of a results file by image id, only of images that have some.

    As for pycocotools a box may reach beyond its image or have no area, and results of one image
    may come in any order.

    Raises:
        ValueError: no such file, not COCO's format, or an image or category that
            ``annotated`` does not have; the text has the entry and its value.
    """
    content = read_json(file)
    if not isinstance(content, list):
        raise ValueError(f"{file}: not COCO results: it is not a list of detections")
    results = objects(file, "results", content)
    boxes = results.boxes_ltwh("bbox")
    scores = results.scores("score")
    image_ids, categories = results.integers("image_id"), results.integers("category_id")
    strange = next((i for i, each in enumerate(image_ids) if each not in annotated.truth), None)
    if strange is not None:
        raise ValueError(
            f"{results.at(strange)}: image_id {image_ids[strange]} is none of the"
            f" {len(annotated.truth)} annotated images: give the annotations that belong to it"
        )
    class_of = {category: k for k, category in enumerate(annotated.category_ids)}
    strange = next((i for i, each in enumerate(categories) if each not in class_of), None)
    if strange is not None:
        raise ValueError(
            f"{results.at(strange)}: category_id {categories[strange]} is none of the annotated"
            f" ones ({', '.join(map(str, sorted(class_of)[:20]))})"
        )
    class_ids = np.array([class_of[k] for k in categories], dtype=np.int64)
    ids = np.array(image_ids, dtype=np.int64)
    return by_image(ids, ltwh_to_xyxy(boxes), scores, class_ids, given_ltwh=boxes)


def _images(listed: Entries) -> pd.DataFrame:
    """A row an image, as ``AnnotatedImages.images``."""
    columns = {"image_id": listed.integers("id"), "image": listed.texts("file_name")}
    sides = {side: listed.integers(side) for side in ("width", "height")}
    images = pd.DataFrame(columns | sides)
    require(len(images) > 0, f"{listed.file}: it has no images")
    for index, row in enumerate(listed.rows):
        for side, pixels in sides.items():
            require(
                0 < pixels[index] < MOST_PIXELS,
                f"{listed.at(index)}: {side} is {row[side]}: it must be that of the image in"
                " pixels",
            )
    require(
        not images["image_id"].duplicated().any(), f"{listed.file}: two images have the same id"
    )
    return images


def _categories(listed: Entries) -> dict[int, str]:
    """Category names by id."""
    ids, names = listed.integers("id"), listed.texts("name")
    require(len(set(ids)) == len(ids), f"{listed.file}: two categories have the same id")
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    require(not twice, f"{listed.file}: several categories are called '{', '.join(twice)}'")
    return dict(zip(ids, names, strict=True))


def _truth(
    image_ids: Sequence[int],
    annotations: Entries,
    categories: Mapping[int, str],
    names: Sequence[str],
) -> dict[int, GroundTruth]:
    """The objects of every image, in the file's order."""
    rows: dict[int, list[int]] = {image_id: [] for image_id in image_ids}
    for row, image_id in enumerate(annotations.integers("image_id")):
        if image_id not in rows:
            raise ValueError(f"{annotations.at(row)}: image_id {image_id} is none of its images")
        rows[image_id].append(row)
    class_ids = _class_ids(annotations, categories, names)  # (N,)
    boxes = annotations.boxes_ltwh("bbox")  # (N, 4)
    crowd = annotations.flags("iscrowd")  # (N,)
    areas = annotations.sizes("area", boxes[:, 2] * boxes[:, 3])  # (N,)
    boxes_xyxy = ltwh_to_xyxy(boxes)
    require(
        bool((~crowd).any()),
        f"{annotations.file}: it has no object, and average precision needs some",
    )
    return {
        image_id: GroundTruth(
            boxes_xyxy=boxes_xyxy[where],
            class_ids=class_ids[where],
            crowd=crowd[where],
            areas=areas[where],
            given_ltwh=boxes[where],
        )
        for image_id, where in rows.items()
    }


def _class_ids(
    annotations: Entries, categories: Mapping[int, str], names: Sequence[str]
) -> NDArray[np.int64]:
    """The class (N,) of each annotation."""
    used = annotations.integers("category_id")
    strange = next((i for i, category in enumerate(used) if category not in categories), None)
    if strange is not None:
        raise ValueError(
            f"{annotations.at(strange)}: category_id {used[strange]} is none of its categories"
        )
    for category in sorted(set(used)):
        require(
            categories[category] in names,
            f"{annotations.file}: category {category} ('{categories[category]}') is no class of"
            f" the model, which has {', '.join(names[:20])}: classes go by name",
        )
    class_of = {category: list(names).index(categories[category]) for category in set(used)}
    return np.array([class_of[category] for category in used], dtype=np.int64)
