"""The tables of an evaluation, read again to be drawn."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yolov2.detection.detections import Detections
from yolov2.evaluation.annotated import AnnotatedImages
from yolov2.evaluation.rows import (
    FIGURES,
    BestThreshold,
    ImageScore,
    LabelError,
    confusion_labels,
)


def read_slices(file: Path) -> pd.DataFrame:
    """AP of parts of the images; see ``slice_table``."""
    return pd.read_csv(file, dtype={"part": str})


def read_curves(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables over the score threshold; see ``confidence_curves``."""
    return {figure: pd.read_csv(folder / f"{figure.lower()}_curve.csv") for figure in FIGURES}


def read_best_thresholds(file: Path) -> dict[str, BestThreshold]:
    """The best threshold by class name; see ``threshold_table``."""
    table = pd.read_csv(file, dtype={"class": str}, keep_default_na=False)
    figures = table.drop(columns="class").to_dict("records")
    return {
        name: BestThreshold(**{str(key): float(value) for key, value in row.items()})
        for name, row in zip(table["class"], figures, strict=True)
    }


def read_confusion(file: Path, class_names: Sequence[str]) -> NDArray[np.int64]:
    """The counts (C+1, C+1) of ``confusion_matrix``."""
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    place = {label: i for i, label in enumerate(confusion_labels(class_names))}
    counts = np.zeros((len(place), len(place)), dtype=np.int64)
    rows = [[place[name] for name in table[side]] for side in ("actual", "predicted")]
    np.add.at(counts, tuple(np.array(rows, dtype=np.int64)), 1)
    return counts


def read_image_scores(file: Path) -> list[ImageScore]:
    """The score of each image, best first."""
    table = pd.read_csv(file, keep_default_na=False).iloc[::-1]
    columns = (table[name].tolist() for name in ("image_id", "TP", "FN", "FP"))
    return [
        ImageScore(image_id=image_id, found=found, missed=missed, false=false)
        for image_id, found, missed, false in zip(*columns, strict=True)
    ]


def read_label_errors(
    file: Path, annotated: AnnotatedImages, detections: Mapping[int, Detections]
) -> list[LabelError]:
    """The candidates, the most suspicious first."""
    table = pd.read_csv(file, dtype={"object": str}, keep_default_na=False)
    columns = (table[name].tolist() for name in ("image_id", "detection", "object"))
    return [
        LabelError.at(i, place, int(there) if there else None, annotated.truth[i], detections[i])
        for i, place, there in zip(*columns, strict=True)
    ]
