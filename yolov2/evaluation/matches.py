"""Which detections count as found, per class and IoU threshold: all that average precision needs.

Matching is the slow part of COCO's evaluation and does not change when images are drawn again
with other weights. So it is done once, by hotcoco, and kept in arrays.

Letters of the shapes: I images, K classes, T IoU thresholds, M detections of one class.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yolov2.detection.detections import Detections, GroundTruth
from yolov2.evaluation.hotcoco_eval import matched_judge

if TYPE_CHECKING:
    from hotcoco import COCOeval

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""COCO's T = 10; AP is their mean and AP50 the first."""


@dataclass(frozen=True, kw_only=True)
class ClassMatches:
    """One class: its detections by descending score, and how many objects each image has.

    ``image`` (M,) is the position of a detection's image, ``scores`` (M,) its score, ``true``
    (T, M) whether it takes an object, ``counts`` (T, M) whether it is counted at all (one on a
    crowd is not), ``objects`` (I,) the objects of each image that have to be found.
    """

    image: NDArray[np.int64]
    scores: NDArray[np.float64]
    true: NDArray[np.bool_]
    counts: NDArray[np.bool_]
    objects: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Matches:
    """The matches of every class, by class id, over ``images`` images in the order of their ids."""

    images: int
    classes: tuple[ClassMatches, ...]


def match(
    truth: Mapping[int, GroundTruth], detections: Mapping[int, Detections], classes: int
) -> Matches:
    """COCO's matches over all object sizes; each image of ``truth`` has its ``detections``."""
    return matches_of(matched_judge(truth, detections, classes), len(truth), classes)


def matches_of(judge: "COCOeval", images: int, classes: int) -> Matches:
    """What a ``matched_judge`` has matched in so many images."""
    by_class: list[list[dict[str, Any]]] = [[] for _ in range(classes)]
    for entry in judge.eval_imgs:
        if entry is not None:
            by_class[entry["category_id"]].append(entry)
    return Matches(images=images, classes=tuple(_class_matches(some, images) for some in by_class))


def _class_matches(entries: list[dict[str, Any]], images: int) -> ClassMatches:
    """The entries of one class, an image each, as arrays; an entry has its image's place."""
    entries = sorted(entries, key=lambda entry: entry["image_id"])
    where = [entry["image_id"] for entry in entries]
    objects = np.zeros(images, dtype=np.int64)
    objects[where] = [np.count_nonzero(~np.array(e["gtIgnore"], dtype=bool)) for e in entries]
    thresholds = len(IOU_THRESHOLDS)
    none = np.zeros((thresholds, 0), dtype=bool)
    matched = [np.array(e["dtMatched"], dtype=bool).reshape(thresholds, -1) for e in entries]
    ignored = [np.array(e["dtIgnore"], dtype=bool).reshape(thresholds, -1) for e in entries]
    scores = np.array([score for entry in entries for score in entry["dtScores"]], dtype=np.float64)
    # stable, as COCO sorts: of equal scores the one of the earlier image comes first
    order = np.argsort(-scores, kind="stable")
    counts = ~np.concatenate((none, *ignored), axis=1)[:, order]
    image = np.repeat(where, [len(entry["dtScores"]) for entry in entries]).astype(np.int64)
    return ClassMatches(
        image=image[order],
        scores=scores[order],
        true=np.concatenate((none, *matched), axis=1)[:, order] & counts,
        counts=counts,
        objects=objects,
    )
