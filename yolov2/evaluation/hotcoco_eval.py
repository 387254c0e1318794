"""Ground truth and detections as hotcoco takes them: COCO's rules, computed in Rust.

hotcoco gives pycocotools' numbers in a small part of the time (``benchmarks/evaluation.py``), and
the diagnoses that pycocotools has not.

Letters of the shapes: I images, N boxes of all images.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from yolov2.boxes import FloatArray
from yolov2.detection.detections import Detections, GroundTruth
from yolov2.evaluation.figures import MAX_DETECTIONS, mean_precision, stats_by_name

if TYPE_CHECKING:
    from hotcoco import COCOeval


def evaluator(
    truth: Mapping[int, GroundTruth], detections: Mapping[int, Detections], classes: int
) -> "COCOeval":
    """An evaluator that has not run yet, over all images of ``truth``, by image id.

    Each image has an entry in ``detections``. hotcoco's id of an image is its place in
    ``sorted(truth)``, not its own, which may be a number that its doubles do not hold. Category ids
    are class ids. Ids of boxes count from 1 in the order of images, and within an image in the
    order of its boxes. Crowds and given areas count as in COCO.
    """
    import hotcoco

    assert detections.keys() == truth.keys(), "detections are not of the images of the split"
    ids = sorted(truth)
    objects, found = [truth[i] for i in ids], [detections[i] for i in ids]
    ground = hotcoco.COCO.from_arrays(
        [{"id": place} for place in range(len(ids))],
        [{"id": k, "name": str(k)} for k in range(classes)],
        np.repeat(np.arange(len(ids)), [len(some) for some in objects]),
        np.concatenate([some.class_ids for some in objects]),
        np.concatenate([some.boxes_ltwh for some in objects]),
        area=np.concatenate([some.object_areas for some in objects]),
        iscrowd=np.concatenate([some.is_crowd for some in objects]).astype(np.int64),
    )
    rows = np.column_stack(
        (
            np.repeat(np.arange(len(ids)), [len(some) for some in found]),
            np.concatenate([some.boxes_ltwh for some in found]),
            np.concatenate([some.scores for some in found]),
            np.concatenate([some.class_ids for some in found]),
        )
    )  # (N, 7)
    return hotcoco.COCOeval(ground, ground.load_res(rows.astype(np.float64)), "bbox")


def average_precision(
    truth: Mapping[int, GroundTruth], detections: Mapping[int, Detections], classes: int
) -> dict[str, float]:
    """Only AP and AP50, as fast as it goes, for use during training."""
    judge = evaluator(truth, detections, classes)
    judge.params.area_rng, judge.params.area_rng_lbl = [[0.0, 1e10]], ["all"]
    judge.params.max_dets = [MAX_DETECTIONS]
    judge.evaluate()
    judge.accumulate()
    return mean_precision(_precision(judge)[..., 0, 0])


def twelve_numbers(judge: "COCOeval") -> dict[str, float]:
    """Pycocotools' numbers of an evaluator that has matched; undefined ones are absent."""
    judge.accumulate()
    judge.summary_lines()  # fills stats, and unlike summarize() prints nothing
    return stats_by_name(judge.stats)


def _precision(judge: "COCOeval") -> FloatArray:
    """Precision (T, R, K, A, D) of an evaluator that has accumulated."""
    assert judge.eval is not None
    return np.asarray(judge.eval["precision"])
