"""COCO's average precision and recall, by pycocotools.

Letters of the shapes in pycocotools' results: T IoU thresholds, R recalls, K classes, A ranges
of object sizes, D limits of detections.
"""

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import pandas as pd

from yolov2.boxes import FloatArray
from yolov2.detection.detections import Detections, GroundTruth
from yolov2.evaluation.figures import MAX_DETECTIONS, SIZES, mean_precision, stats_by_name


@dataclass(frozen=True, kw_only=True)
class CocoResult:
    """What pycocotools says.

    ``stats`` holds the twelve numbers and ``per_class`` AP, AP50 and AP by object size of each
    class. What is undefined is absent, where pycocotools writes -1: the numbers of a size range,
    and the classes, of which the split has no object. ``pr_curves`` has 101 recalls in column
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
    by_size = evaluator.eval["precision"][..., -1]  # (T, R, K, A), 100 detections at most
    precision = by_size[..., 0]  # (T, R, K), all sizes
    present = [k for k in range(len(class_names)) if precision[0, 0, k] >= 0]
    return CocoResult(
        stats=stats_by_name(evaluator.stats),
        per_class={class_names[k]: _class_figures(by_size[:, :, k]) for k in present},
        pr_curves=_pr_curves(
            evaluator.params.recThrs, precision[0][:, present], [class_names[k] for k in present]
        ),
    )


def _class_figures(precision: FloatArray) -> dict[str, float]:
    """AP, AP50 and AP by object size of one class; precision is (T, R, A), all sizes first."""
    figures = {
        "AP": float(precision[:, :, 0].mean()),
        "AP50": float(precision[0, :, 0].mean()),
    }
    for size, values in zip(SIZES, precision.transpose(2, 0, 1)[1:], strict=True):
        if values[0, 0] >= 0:
            figures[f"AP{size}"] = float(values.mean())
    return figures


def average_precision(
    truth: Mapping[int, GroundTruth], detections: Mapping[int, Detections], classes: int
) -> dict[str, float]:
    """Only AP and AP50: the same values in a quarter of the time."""
    evaluator = _evaluator(truth, detections, classes)
    evaluator.params.areaRng = evaluator.params.areaRng[:1]
    evaluator.params.areaRngLbl = evaluator.params.areaRngLbl[:1]
    evaluator.params.maxDets = [MAX_DETECTIONS]
    with redirect_stdout(io.StringIO()):
        evaluator.evaluate()
        evaluator.accumulate()
    precision = evaluator.eval["precision"]  # (T, R, K, 1, 1)
    return mean_precision(precision[..., 0, 0])


def _evaluator(
    truth: Mapping[int, GroundTruth], detections: Mapping[int, Detections], classes: int
) -> Any:
    """COCOeval over all images of ``truth``, each of which has an entry in ``detections``.

    The id of an image is its place in ``sorted(truth)``, as in ``hot.evaluator``.
    """
    from pycocotools.cocoeval import COCOeval

    assert detections.keys() == truth.keys(), "detections are not of the images of the split"
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for place, image_id in enumerate(sorted(truth)):
        annotations += _annotations(place, truth[image_id])
        results += _results(place, detections[image_id])
    images = [{"id": place} for place in range(len(truth))]
    with redirect_stdout(io.StringIO()):
        return COCOeval(
            _coco(images, annotations, classes), _coco(images, results, classes), "bbox"
        )


def _annotations(image_id: int, objects: GroundTruth) -> list[dict[str, Any]]:
    """COCO's dictionary of each annotated box, without the ids."""
    columns = (objects.class_ids, objects.boxes_ltwh, objects.object_areas, objects.is_crowd)
    return [
        {"image_id": image_id, "category_id": k, "bbox": box, "area": area, "iscrowd": int(crowd)}
        for k, box, area, crowd in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _results(image_id: int, found: Detections) -> list[dict[str, Any]]:
    """COCO's dictionary of each detection, without the ids."""
    boxes = found.boxes_ltwh
    columns = (found.class_ids, boxes, boxes[:, 2:].prod(axis=1), found.scores)
    return [
        {
            "image_id": image_id,
            "category_id": k,
            "bbox": box,
            "area": area,
            "iscrowd": 0,
            "score": score,
        }
        for k, box, area, score in zip(*(column.tolist() for column in columns), strict=True)
    ]


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
