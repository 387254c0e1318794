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
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from yolov2.boxes import FloatArray
from yolov2.detection.detections import Detections, GroundTruth
from yolov2.evaluation.annotated import AnnotatedImages
from yolov2.evaluation.matches import Matches

if TYPE_CHECKING:
    from hotcoco import COCOeval

DIAGNOSIS_IOU = 0.5
BINS = 10
CALIBRATION_SCORE = 0.05
"""Detections below are left out of the calibration: at a reporting threshold of 0.001 they are
nearly all there is, nearly all wrong, and would make every detector look calibrated."""

LABEL_ERROR_SCORE = 0.5
"""A detection must be so sure to cast doubt on a label."""

ERROR_TYPES = {
    "Cls": ("classification", "right place, wrong class"),
    "Loc": ("localisation", "right class, IoU of 0.1 to 0.5"),
    "Both": ("class and place", "wrong class, IoU of 0.1 to 0.5"),
    "Dupe": ("duplicate", "object found before"),
    "Bkg": ("background", "nothing is there"),
    "Miss": ("missed", "object not found at all"),
}
"""hotcoco's names of TIDE's types, ours, and what they mean."""


TABLE = ("image_id", "image", "kind", "score", "detected", "annotated", "x1", "y1", "x2", "y2")
"""Columns of the table of label error candidates; the box is in pixels."""


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


@dataclass(frozen=True, kw_only=True)
class LabelError:
    """A detection that says the label is wrong: a box is missing, or has another class.

    ``box_xyxy`` is the detection's in pixels of the image, ``annotated`` the class id of the
    object there (None: there is none), ``box_annotated_xyxy`` its box.
    """

    image_id: int
    kind: Literal["missing annotation", "wrong class"]
    score: float
    detected: int
    box_xyxy: tuple[float, float, float, float]
    annotated: int | None
    box_annotated_xyxy: tuple[float, float, float, float] | None


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
    objects = _boxes([truth[i].boxes_xyxy for i in ids])
    found = _boxes([detections[i].boxes_xyxy for i in ids])
    diagnosis = judge.image_diagnostics(iou_thr=DIAGNOSIS_IOU, score_thr=LABEL_ERROR_SCORE)
    entries = sorted(diagnosis["label_errors"], key=lambda one: (-one["dt_score"], one["dt_id"]))
    return [_candidate(entry, ids, objects, found) for entry in entries]


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
        )
        for one in candidates
    ]
    return pd.DataFrame(rows, columns=list(TABLE))


def _candidate(
    entry: Mapping[str, Any], ids: Sequence[int], objects: FloatArray, found: FloatArray
) -> LabelError:
    """One of hotcoco's entries, whose ids are those of ``hotcoco_eval.evaluator``.

    Places of images in ``ids``, and of boxes in ``objects`` and ``found`` (N, 4), from 1.
    """
    object_id = entry["gt_id"]
    return LabelError(
        image_id=ids[entry["image_id"]],
        kind="missing annotation" if object_id is None else "wrong class",
        score=float(entry["dt_score"]),
        detected=int(entry["dt_category_id"]),
        box_xyxy=_corners(found[entry["dt_id"] - 1]),
        annotated=None if object_id is None else int(entry["gt_category_id"]),
        box_annotated_xyxy=None if object_id is None else _corners(objects[object_id - 1]),
    )


def _boxes(parts: list[FloatArray]) -> FloatArray:
    """The boxes of all images (N, 4) in their order."""
    return np.concatenate([np.zeros((0, 4)), *parts])


def _corners(box_xyxy: FloatArray) -> tuple[float, float, float, float]:
    left, top, right, bottom = map(float, box_xyxy)
    return left, top, right, bottom
