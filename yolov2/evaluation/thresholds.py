"""At which score to cut: F1, precision and recall against confidence, the best F1 of each class.

Matches are COCO's at IoU 0.5. A detection counts if its score is greater than the threshold, as
everywhere here. Thresholds are found on the validation split and never on the test split: a
threshold that was chosen on the images it is judged by looks better than it is.

Letters of the shapes: M detections of one class, X points of the curves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yolov2.evaluation.matches import IOU_THRESHOLDS, ClassMatches, Matches
from yolov2.evaluation.rows import FIGURES, BestThreshold
from yolov2.files import write_json
from yolov2.runtime.thresholds import CONF_THRESHOLD

CONFIDENCES = np.linspace(0, 1, 101)
"""X = 101 points of the curves."""


def best_thresholds(matches: Matches, class_names: Sequence[str]) -> dict[str, BestThreshold]:
    """The best threshold by class name, of the classes that have objects."""
    return {
        name: _best(one)
        for name, one in zip(class_names, matches.classes, strict=True)
        if one.objects.any()
    }


def threshold_table(best: Mapping[str, BestThreshold]) -> pd.DataFrame:
    """A row a class with objects: columns ``class``, ``threshold``, ``f1``, precision, recall."""
    rows = [{"class": name, **asdict(one)} for name, one in best.items()]
    return pd.DataFrame(rows, columns=["class", *(field.name for field in fields(BestThreshold))])


def write_thresholds(
    path: Path, best: Mapping[str, BestThreshold], split: str, weights: str | None
) -> None:
    """Write ``thresholds.json``; classes without objects in the split are absent.

    ``weights`` is the sha256 of the model file that they belong to, ``None`` if that is unknown.
    """
    content = {
        "metric": "F1",
        "iou": float(IOU_THRESHOLDS[0]),
        "split": split,
        "weights": weights,
        "classes": {name: asdict(one) for name, one in best.items()},
    }
    write_json(path, content)


def confidence_curves(matches: Matches, class_names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """F1, precision and recall, each a table of X rows: ``confidence``, ``mean``, a class each.

    Of classes that have objects. Without a detection above the threshold precision is 1.
    """
    present = {
        name: _curves(one)
        for name, one in zip(class_names, matches.classes, strict=True)
        if one.objects.any()
    }
    tables = {}
    for row, figure in enumerate(FIGURES):
        values = {name: curves[row] for name, curves in present.items()}
        columns = {"confidence": CONFIDENCES, "mean": np.mean(list(values.values()), axis=0)}
        for name, curve in values.items():
            columns[name if name not in columns else f"{name} (class)"] = curve
        tables[figure] = pd.DataFrame(columns)
    return tables


def _curves(matches: ClassMatches) -> NDArray[np.float64]:
    """F1, precision and recall (3, X) of a class."""
    scores, found, seen = _cumulated(matches)
    above = np.searchsorted(-scores, -CONFIDENCES, side="left")  # (X,) with a greater score
    return _figures(np.append(0, found)[above], np.append(0, seen)[above], matches)


def _best(matches: ClassMatches) -> BestThreshold:
    """The threshold halfway between the last detection that counts and the next one."""
    scores, found, seen = _cumulated(matches)
    if not found.any():  # at any threshold
        return BestThreshold(threshold=CONF_THRESHOLD, f1=0.0, precision=0.0, recall=0.0)
    lower = np.append(scores[1:], 0.0)
    f1, precision, recall = _figures(found, seen, matches)  # (M,) each
    # detections of equal score are taken or left together
    place = int(np.where(scores > lower, f1, -1).argmax())
    return BestThreshold(
        # scores of other tools may be rounded to a little more than 1, which no threshold is
        threshold=min(float(scores[place] + lower[place]) / 2, 1.0),
        f1=float(f1[place]),
        precision=float(precision[place]),
        recall=float(recall[place]),
    )


def _cumulated(
    matches: ClassMatches,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Scores (M,) of the detections that count, true ones and all up to each of them."""
    counts = matches.counts[0]
    found = matches.true[0][counts].cumsum()
    return matches.scores[counts], found, np.arange(1, len(found) + 1)


def _figures(
    found: NDArray[np.int64], seen: NDArray[np.int64], matches: ClassMatches
) -> NDArray[np.float64]:
    """F1, precision and recall (3, ...) of true detections among those seen."""
    objects = matches.objects.sum()
    f1 = 2 * found / (seen + objects)
    precision = np.where(seen > 0, found / np.maximum(seen, 1), 1.0)
    return np.stack((f1, precision, found / objects))
