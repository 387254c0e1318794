"""Which detection found which object: the confusion matrix and the score of single images.

Unlike average precision these need a decision: detections above a score threshold count, and
in descending order of score each takes the free object that it overlaps most, if their IoU is
at least ``MATCH_IOU``. A detection that finds no object and lies in a crowd does not count, as in
COCO; hotcoco's confusion matrix, otherwise the same, calls it a false alarm.

Letters of the shapes: D detections and G objects of one image, C classes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yolov2.boxes import FloatArray
from yolov2.detection.detections import Detections, GroundTruth
from yolov2.evaluation.rows import MATCH_IOU, MATCH_SCORE, ImageScore, confusion_labels


def image_scores(
    truth: Mapping[int, GroundTruth], detections: Mapping[int, Detections]
) -> list[ImageScore]:
    """Score of each image, best first: by F1, then by the number of objects found."""
    scores = []
    for image_id, objects in truth.items():
        found = detections[image_id].above(MATCH_SCORE)
        same_class = found.class_ids[:, None] == objects.class_ids[None, :]  # (D, G)
        match = _match(_iou(found, objects) * same_class)
        hits = int((match >= 0).sum())
        scores.append(
            ImageScore(
                image_id=image_id,
                found=hits,
                missed=int((~objects.is_crowd).sum()) - hits,
                false=int(((match < 0) & ~_in_crowd(found, objects)).sum()),
            )
        )
    return sorted(scores, key=lambda s: (-s.f1, -s.found, s.missed + s.false, s.image_id))


def image_table(scores: Sequence[ImageScore], images: pd.DataFrame) -> pd.DataFrame:
    """A row an image, the worst first: what it is, and what was found in it.

    ``scores`` come best first; ``images`` are those of ``AnnotatedImages``. ``TP``, ``FP`` and
    ``FN`` count detections above ``threshold`` and objects, ``F1`` is by which it is sorted.
    """
    worst = list(reversed(scores))
    order = [score.image_id for score in worst]
    table = images.set_index("image_id").loc[order].reset_index()
    return table[["image", "image_id", "width", "height"]].assign(
        objects=[score.found + score.missed for score in worst],
        TP=[score.found for score in worst],
        FP=[score.false for score in worst],
        FN=[score.missed for score in worst],
        F1=[round(score.f1, 6) for score in worst],
        threshold=MATCH_SCORE,
    )


def confusion_matrix(
    truth: Mapping[int, GroundTruth], detections: Mapping[int, Detections], classes: int
) -> NDArray[np.int64]:
    """Counts (C+1, C+1): actual class in rows, predicted in columns, the last is background.

    Objects and detections are matched whatever their class. The row of the background counts
    detections without an object (a second detection of one object too), its column the objects
    that were missed.
    """
    counts = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    for image_id, objects in truth.items():
        found = detections[image_id].above(MATCH_SCORE)
        match = _match(_iou(found, objects))  # (D,)
        actual = np.append(objects.class_ids, classes)[match]  # -1 is the background
        missed = np.setdiff1d(np.flatnonzero(~objects.is_crowd), match)
        counted = (match >= 0) | ~_in_crowd(found, objects)
        np.add.at(counts, (actual[counted], found.class_ids[counted]), 1)
        counts[:, classes] += np.bincount(objects.class_ids[missed], minlength=classes + 1)
    return counts


def confusion_samples(counts: NDArray[np.int64], names: list[str]) -> pd.DataFrame:
    """The counts (C+1, C+1) as one row an object or false alarm: columns actual, predicted."""
    actual, predicted = np.nonzero(counts)
    times = counts[actual, predicted]
    label = np.array(confusion_labels(names))
    return pd.DataFrame(
        {
            "actual": np.repeat(label[actual], times),
            "predicted": np.repeat(label[predicted], times),
        }
    )


def box_iou(boxes1_ltwh: FloatArray, boxes2_ltwh: FloatArray) -> FloatArray:
    """IoU (N, M) of boxes (N, 4) with boxes (M, 4), to the last bit as pycocotools computes it."""
    intersection, area1, area2 = _overlap(boxes1_ltwh, boxes2_ltwh)
    union = area1 + area2 - intersection
    return np.divide(intersection, union, out=np.zeros_like(union), where=intersection > 0)


def _iou(found: Detections, objects: GroundTruth) -> FloatArray:
    """IoU (D, G) of detections with objects, 0 with crowds."""
    return box_iou(found.boxes_ltwh, objects.boxes_ltwh) * ~objects.is_crowd


def _in_crowd(found: Detections, objects: GroundTruth) -> NDArray[np.bool_]:
    """Whether each detection (D,) lies, with enough of its area, in a crowd of its class."""
    intersection, area, _ = _overlap(found.boxes_ltwh, objects.boxes_ltwh)
    same_class = found.class_ids[:, None] == objects.class_ids[None, :]  # (D, G)
    enough = (intersection > 0) & (intersection >= MATCH_IOU * area)
    inside = enough & same_class & objects.is_crowd
    return np.asarray(inside.any(axis=1))


def _overlap(
    boxes1_ltwh: FloatArray, boxes2_ltwh: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Intersection (N, M) of boxes (N, 4) and (M, 4), and their areas (N, 1) and (1, M)."""
    low1, size1 = np.split(boxes1_ltwh.astype(np.float64)[:, None], 2, axis=-1)  # (N, 1, 2)
    low2, size2 = np.split(boxes2_ltwh.astype(np.float64)[None], 2, axis=-1)  # (1, M, 2)
    sides = np.minimum(low1 + size1, low2 + size2) - np.maximum(low1, low2)  # (N, M, 2)
    return np.clip(sides, 0, None).prod(axis=-1), size1.prod(axis=-1), size2.prod(axis=-1)


def _match(iou: FloatArray) -> NDArray[np.int64]:
    """Index (D,) of the object that each detection takes, -1 for none; iou is (D, G)."""
    free = iou.copy()
    match = np.full(len(iou), -1, dtype=np.int64)
    if free.shape[1] == 0:
        return match
    for i in range(len(free)):
        best = int(free[i].argmax())
        if free[i, best] >= MATCH_IOU:
            match[i] = best
            free[:, best] = 0
    return match
