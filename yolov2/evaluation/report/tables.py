"""The tables of an evaluation: every figure as CSV or Parquet, from which pictures are drawn."""

from pathlib import Path

import numpy as np
import pandas as pd

from yolov2.evaluation.annotated import AnnotatedImages
from yolov2.evaluation.confusion import confusion_samples, image_table
from yolov2.evaluation.detections_file import NAME, write_detections
from yolov2.evaluation.diagnosis import label_error_table, label_errors
from yolov2.evaluation.evaluate import EvaluatedCheckpoint
from yolov2.evaluation.figures import SIZES
from yolov2.evaluation.metrics import Evaluation
from yolov2.evaluation.slices import brightness, slice_table
from yolov2.evaluation.thresholds import best_thresholds, confidence_curves, threshold_table


def write_tables(evaluated: EvaluatedCheckpoint, folder: Path) -> None:
    """Write the tables and the detections into ``folder``.

    ``images.csv`` has a row for each image, the worst first (see ``image_table``). Where the image
    files are not at hand, there are no slices by brightness.
    """
    folder.mkdir(parents=True, exist_ok=True)
    evaluation = evaluated.evaluation
    names = list(evaluation.class_names)
    evaluation.pr_curves.to_csv(folder / "pr_curve.csv", index=False)
    for figure, table in confidence_curves(evaluation.matches, evaluation.class_names).items():
        table.to_csv(folder / f"{figure.lower()}_curve.csv", index=False)
    best = threshold_table(best_thresholds(evaluation.matches, names))
    best.to_csv(folder / "best_thresholds.csv", index=False)
    confusion_samples(evaluation.confusion, names).to_csv(folder / "confusion.csv", index=False)
    evaluation.calibration.bins.to_csv(folder / "reliability.csv", index=False)
    evaluation.errors.to_csv(folder / "errors.csv", index=False)
    size_table(evaluation).to_csv(folder / "sizes.csv", index=False)
    annotated, detections = evaluated.annotated, evaluated.detections
    slices = slice_table(evaluation.judge, annotated, _brightness(annotated))
    slices.to_csv(folder / "slices.csv", index=False)
    candidates = label_errors(evaluation.judge, annotated.truth, detections)
    label_error_table(candidates, annotated).to_csv(folder / "label_errors.csv", index=False)
    write_detections(folder / NAME, detections, annotated)
    scores = image_table(evaluation.image_scores, annotated.images)
    scores.to_csv(folder / "images.csv", index=False)


def size_table(evaluation: Evaluation) -> pd.DataFrame:
    """AP by object size: columns ``size``, ``mean``, then one for each class with objects."""
    columns: dict[str, list[object]] = {
        "size": list(SIZES),
        "mean": [evaluation.stats.get(f"AP{size}", np.nan) for size in SIZES],
    }
    for name, values in evaluation.per_class.items():
        column = name if name not in columns else f"{name} (class)"
        columns[column] = [values.get(f"AP{size}", np.nan) for size in SIZES]
    return pd.DataFrame(columns)


def _brightness(annotated: AnnotatedImages) -> dict[int, float] | None:
    root = annotated.root
    if root is None:
        return None
    return {image_id: brightness(root / path) for image_id, path in annotated.paths.items()}
