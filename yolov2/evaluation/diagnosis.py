"""What is wrong with a detector, and what may be wrong with the labels; matched by hotcoco.

* Error types: what would be gained in AP50 if all errors of one type were mended (TIDE: D. Bolya
  et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020).
* Calibration: whether of the detections with a score of 0.8 four in five are right (expected
  calibration error: C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017).
* Label error candidates: confident detections that contradict the annotation.

Letters of the shapes: N boxes of all images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from yolov2.detection.detections import Detections, GroundTruth
from yolov2.evaluation.annotated import AnnotatedImages
from yolov2.evaluation.matches import Matches
from yolov2.evaluation.rows import CALIBRATION_SCORE, LABEL_ERROR_SCORE, LabelError

if TYPE_CHECKING:
    from hotcoco import COCOeval

DIAGNOSIS_IOU = 0.5
BINS = 10
ERROR_TYPES = {
    "Cls": ("classification", "right place, wrong class"),
    "Loc": ("localisation", "right class, IoU of 0.1 to 0.5"),
    "Both": ("class and place", "wrong class, IoU of 0.1 to 0.5"),
    "Dupe": ("duplicate", "object found before"),
    "Bkg": ("background", "nothing is there"),
    "Miss": ("missed", "object not found at all"),
}
"""hotcoco's names of TIDE's types, ours, and what they mean."""


TABLE = ("image_id", "image", "kind", "score", "detected", "annotated", "x1", "y1", "x2", "y2",
         "detection", "object")  # fmt: skip
"""Columns of the table of label error candidates; the box is in pixels. The last two are places
among the detections and among the annotated objects of the image."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Expected and maximum calibration error, and the bins of the reliability diagram.

    ``bins`` has a row for each tenth of the scores with columns ``low``, ``high``,
    ``confidence`` (mean score), ``precision`` (share of right ones) and ``detections``; the
    means of an empty bin are NaN. Without any detection both errors are 0.
    """

    ece: float
    mce: float
    bins: pd.DataFrame


def error_types(judge: "COCOeval") -> pd.DataFrame:
    """Columns ``error``, ``meaning``, ``count`` and ``AP50`` (what mending them would gain).

    ``judge`` has matched.
    """
    found = judge.tide_errors(pos_thr=DIAGNOSIS_IOU)
    return pd.DataFrame(
        [
            {
                "error": name,
                "meaning": meaning,
                "count": int(found["counts"][key]),
                "AP50": float(found["delta_ap"][key]),
            }
            for key, (name, meaning) in ERROR_TYPES.items()
        ]
    )


def calibration(matches: Matches, detections: Mapping[int, Detections]) -> Calibration:
    """How far scores above ``CALIBRATION_SCORE`` are from shares of right detections.

    ``matches`` are of ``detections``. Each score counts in the precision that it was given in, and
    at most 1, over which rounding may have pushed it.
    """
    lowest = np.array(
        [float(detections[i].scores.dtype.type(CALIBRATION_SCORE)) for i in sorted(detections)]
    )
    sure = [one.counts[0] & (one.scores > lowest[one.image]) for one in matches.classes]
    parts = list(zip(matches.classes, sure, strict=True))
    scores = np.concatenate([one.scores[kept] for one, kept in parts]).clip(max=1)
    right = np.concatenate([one.true[0][kept] for one, kept in parts])
    tenth = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    count, confidence, precision = (
        np.bincount(tenth, weights, BINS) for weights in (np.ones(len(scores)), scores, right)
    )
    filled = count > 0
    means = np.full((2, BINS), np.nan)
    means[:, filled] = np.stack((confidence, precision))[:, filled] / count[filled]
    gaps = np.abs(means[1] - means[0])[filled]
    share = count[filled] / max(len(scores), 1)
    places = np.arange(BINS + 1)
    bins = pd.DataFrame(
        {
            "low": places[:-1] / BINS,
            "high": places[1:] / BINS,
            "confidence": means[0],
            "precision": means[1],
            "detections": count.astype(np.int64),
        }
    )
    # one after the other, as hotcoco adds them up: equal to the last bit
    ece = np.append(0.0, share * gaps).cumsum()[-1]
    return Calibration(ece=float(ece), mce=float(gaps.max(initial=0.0)), bins=bins)


def label_errors(
    judge: "COCOeval",
    truth: Mapping[int, GroundTruth],
    detections: Mapping[int, Detections],
) -> list[LabelError]:
    """Candidates, the most suspicious first; ``judge`` has matched these very boxes."""
    ids = sorted(truth)
    # hotcoco's ids of boxes are those of ``hotcoco_eval.evaluator``: from 1 over all images
    first_object = np.cumsum([1, *(len(truth[i]) for i in ids)])
    first_found = np.cumsum([1, *(len(detections[i]) for i in ids)])
    diagnosis = judge.image_diagnostics(iou_thr=DIAGNOSIS_IOU, score_thr=LABEL_ERROR_SCORE)
    entries = sorted(diagnosis["label_errors"], key=lambda one: (-one["dt_score"], one["dt_id"]))
    candidates = []
    for entry in entries:
        place, there = entry["image_id"], entry["gt_id"]
        candidates.append(
            LabelError.at(
                ids[place],
                int(entry["dt_id"] - first_found[place]),
                None if there is None else int(there - first_object[place]),
                truth[ids[place]],
                detections[ids[place]],
            )
        )
    return candidates


def label_error_table(candidates: Sequence[LabelError], annotated: AnnotatedImages) -> pd.DataFrame:
    """One row a candidate, the most suspicious first: image, kind, score, classes, the box."""
    names, paths = annotated.class_names, annotated.paths
    rows = [
        (
            one.image_id,
            paths[one.image_id],
            one.kind,
            round(one.score, 4),
            names[one.detected],
            "" if one.annotated is None else names[one.annotated],
            *(round(side, 1) for side in one.box_xyxy),
            one.detection,
            "" if one.object is None else one.object,
        )
        for one in candidates
    ]
    return pd.DataFrame(rows, columns=list(TABLE))
