"""COCO's average precision and recall, by pycocotools.

Letters of the shapes in pycocotools' results: T IoU thresholds, R recalls, K classes, A ranges
of object sizes, D limits of detections.
"""

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from yolov2.boxes import FloatArray
from yolov2.detection.detections import Detections, GroundTruth

STATS = (
    "AP",
    "AP50",
    "AP75",
    "APsmall",
    "APmedium",
    "APlarge",
    "AR1",
    "AR10",
    "AR100",
    "ARsmall",
    "ARmedium",
    "ARlarge",
)
"""pycocotools' twelve numbers in its order. COCO counts at most 100 detections an image."""


@dataclass(frozen=True, kw_only=True)
class CocoResult:
    """What pycocotools says.

    ``stats`` holds the twelve numbers and ``per_class`` AP and AP50 of each class. What is
    undefined is absent, where pycocotools writes -1: the numbers of a size range, and the
    classes, of which the split has no object. ``pr_curves`` has 101 recalls in column
    ``recall``, the precision at IoU 0.5 averaged over the classes in ``mean``, and of each
    class with objects in a column of its name.
    """

    stats: dict[str, float]
    per_class: dict[str, dict[str, float]]
    pr_curves: pd.DataFrame


def coco_metrics(
    truth: Mapping[int, GroundTruth],
    detections: Mapping[int, Detections],
    class_names: Sequence[str],
) -> CocoResult:
    """The detections by image id as pycocotools judges them; nothing is printed."""
    evaluator = _evaluator(truth, detections, len(class_names))
    with redirect_stdout(io.StringIO()):
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    precision = evaluator.eval["precision"][:, :, :, 0, -1]  # (T, R, K), all sizes, 100 at most
    present = [k for k in range(len(class_names)) if precision[0, 0, k] >= 0]
    return CocoResult(
        stats={
            name: float(value)
            for name, value in zip(STATS, evaluator.stats, strict=True)
            if value >= 0
        },
        per_class={
            class_names[k]: {
                "AP": float(precision[:, :, k].mean()),
                "AP50": float(precision[0, :, k].mean()),
            }
            for k in present
        },
        pr_curves=_pr_curves(
            evaluator.params.recThrs, precision[0][:, present], [class_names[k] for k in present]
        ),
    )


def average_precision(
    truth: Mapping[int, GroundTruth], detections: Mapping[int, Detections], classes: int
) -> dict[str, float]:
    """Only AP and AP50: the same values in a quarter of the time, for use during training."""
    evaluator = _evaluator(truth, detections, classes)
    evaluator.params.areaRng = evaluator.params.areaRng[:1]
    evaluator.params.areaRngLbl = evaluator.params.areaRngLbl[:1]
    evaluator.params.maxDets = evaluator.params.maxDets[-1:]
    with redirect_stdout(io.StringIO()):
        evaluator.evaluate()
        evaluator.accumulate()
    precision = evaluator.eval["precision"]  # (T, R, K, 1, 1)
    defined = precision[:, :, precision[0, 0, :, 0, 0] >= 0]
    return {"AP": float(defined.mean()), "AP50": float(defined[0].mean())}


def _evaluator(
    truth: Mapping[int, GroundTruth], detections: Mapping[int, Detections], classes: int
) -> Any:
    """COCOeval over all images of ``truth``, each of which has an entry in ``detections``."""
    from pycocotools.cocoeval import COCOeval

    assert detections.keys() == truth.keys(), "detections are not of the images of the split"
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image_id in sorted(truth):
        objects, found = truth[image_id], detections[image_id]
        annotations += _entries(image_id, objects.boxes_xyxy, objects.class_ids.tolist())
        results += _entries(
            image_id, found.boxes_xyxy, found.class_ids.tolist(), found.scores.tolist()
        )
    images = [{"id": image_id} for image_id in sorted(truth)]
    with redirect_stdout(io.StringIO()):
        return COCOeval(
            _coco(images, annotations, classes), _coco(images, results, classes), "bbox"
        )


def _entries(
    image_id: int, boxes_xyxy: FloatArray, class_ids: list[int], scores: list[float] | None = None
) -> list[dict[str, Any]]:
    """COCO's dictionary of each box (N, 4), without the ids."""
    boxes = boxes_xyxy.astype(np.float64)
    sizes = boxes[:, 2:] - boxes[:, :2]
    areas = sizes.prod(axis=1).tolist()
    entries: list[dict[str, Any]] = [
        {"image_id": image_id, "category_id": class_id, "bbox": box, "area": area, "iscrowd": 0}
        for class_id, box, area in zip(
            class_ids, np.concatenate((boxes[:, :2], sizes), axis=1).tolist(), areas, strict=True
        )
    ]
    for entry, score in zip(entries, scores or [], strict=False):
        entry["score"] = score
    return entries


def _coco(images: list[dict[str, int]], annotations: list[dict[str, Any]], classes: int) -> Any:
    """An indexed COCO data set. Ids start at 1: pycocotools takes a match with id 0 for none."""
    from pycocotools.coco import COCO

    coco = COCO()
    coco.dataset = {
        "images": images,
        "categories": [{"id": class_id} for class_id in range(classes)],
        "annotations": [{**entry, "id": i} for i, entry in enumerate(annotations, start=1)],
    }
    coco.createIndex()
    return coco


def _pr_curves(recalls: FloatArray, precision: FloatArray, names: list[str]) -> pd.DataFrame:
    """Columns ``recall``, ``mean`` and one for each class; precision is (R, K)."""
    columns = {"recall": recalls, "mean": precision.mean(axis=1)}
    for k, name in enumerate(names):
        columns[name if name not in columns else f"{name} (class)"] = precision[:, k]
    return pd.DataFrame(columns)
