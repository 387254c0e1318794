"""The report of an evaluation: each figure as a picture for people and as a table for tools."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from yolov2.data.images.reading import read_image, require_size
from yolov2.detection.draw import draw_comparison
from yolov2.evaluation.annotated import AnnotatedImages
from yolov2.evaluation.confusion import MATCH_SCORE, ImageScore, confusion_samples, image_table
from yolov2.evaluation.detections_file import NAME, write_detections
from yolov2.evaluation.diagnosis import label_errors
from yolov2.evaluation.evaluate import EvaluatedCheckpoint
from yolov2.evaluation.figures import SIZES
from yolov2.evaluation.hotcoco_eval import evaluator
from yolov2.evaluation.metrics import Evaluation
from yolov2.evaluation.report.curves import save_confidence_plot, save_pr_plot
from yolov2.evaluation.report.label_sheet import label_error_sheet, label_error_table
from yolov2.evaluation.report.plots import (
    save_confusion_plot,
    save_errors_plot,
    save_reliability_plot,
    save_sizes_plot,
    save_slices_plot,
)
from yolov2.evaluation.slices import brightness, slice_table
from yolov2.evaluation.thresholds import best_thresholds, confidence_curves

LABEL_SHEET = "label_errors.jpg"


def write_report(evaluated: EvaluatedCheckpoint, folder: Path, pictures: int) -> None:
    """Write plots (PNG), their tables (CSV), the detections, and pictures into ``folder``.

    ``images.csv`` has a row for each image, the worst first (see ``image_table``).
    ``pictures`` is the number of images drawn in ``folder/images``: the better half are the best
    images, the rest the worst. Where the image files are not at hand, there are none of them, no
    sheet of label errors and no slices by brightness.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_curves(evaluated.evaluation, folder)
    _write_figures(evaluated.evaluation, folder)
    _write_diagnosis(evaluated, folder)
    write_detections(folder / NAME, evaluated.detections, evaluated.annotated)
    table = image_table(evaluated.evaluation.image_scores, evaluated.annotated.images)
    table.to_csv(folder / "images.csv", index=False)
    _write_pictures(evaluated, folder / "images", pictures)


def best_and_worst(scores: list[ImageScore], pictures: int) -> dict[str, ImageScore]:
    """Up to ``pictures`` images to look at by file stem: ``best-1``, ..., ``worst-1``, ...

    ``scores`` come best first. No image appears twice.
    """
    pictures = min(pictures, len(scores))
    best = pictures - pictures // 2
    chosen = {f"best-{i}": score for i, score in enumerate(scores[:best], start=1)}
    worst = scores[::-1][: pictures // 2]
    return chosen | {f"worst-{i}": score for i, score in enumerate(worst, start=1)}


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


def _write_curves(evaluation: Evaluation, folder: Path) -> None:
    names = evaluation.class_names
    evaluation.pr_curves.to_csv(folder / "pr_curve.csv", index=False)
    save_pr_plot(evaluation.pr_curves, evaluation.per_class, names, folder / "pr_curve.png")
    curves = confidence_curves(evaluation.matches, names)
    for figure, table in curves.items():
        table.to_csv(folder / f"{figure.lower()}_curve.csv", index=False)
    best = best_thresholds(evaluation.matches, names)
    save_confidence_plot(curves, best, names, folder / "confidence.png")


def _write_figures(evaluation: Evaluation, folder: Path) -> None:
    names = list(evaluation.class_names)
    samples = confusion_samples(evaluation.confusion, names)
    samples.to_csv(folder / "confusion.csv", index=False)
    save_confusion_plot(evaluation.confusion, names, folder / "confusion.png")
    evaluation.calibration.bins.to_csv(folder / "reliability.csv", index=False)
    save_reliability_plot(evaluation.calibration, folder / "reliability.png")
    evaluation.errors.to_csv(folder / "errors.csv", index=False)
    save_errors_plot(evaluation.errors, folder / "errors.png")
    sizes = size_table(evaluation)
    sizes.to_csv(folder / "sizes.csv", index=False)
    save_sizes_plot(sizes, names, folder / "sizes.png")


def _write_diagnosis(evaluated: EvaluatedCheckpoint, folder: Path) -> None:
    """Slices, and label error candidates."""
    annotated, detections = evaluated.annotated, evaluated.detections
    judge = evaluator(annotated.truth, detections, len(annotated.class_names))
    judge.evaluate()
    slices = slice_table(judge, annotated, _brightness(annotated))
    slices.to_csv(folder / "slices.csv", index=False)
    save_slices_plot(slices, folder / "slices.png")
    candidates = label_errors(judge, annotated.truth, detections)
    table = label_error_table(candidates, annotated)
    table.to_csv(folder / "label_errors.csv", index=False)
    if annotated.root is not None:
        sheet = label_error_sheet(candidates, annotated, lambda path: _picture(annotated, path))
        sheet.save(folder / LABEL_SHEET, quality=90)


def _brightness(annotated: AnnotatedImages) -> dict[int, float] | None:
    root = annotated.root
    if root is None:
        return None
    return {image_id: brightness(root / path) for image_id, path in annotated.paths.items()}


def _picture(annotated: AnnotatedImages, path: str) -> Image.Image:
    """An image to draw boxes on, which are in pixels of the annotated one."""
    assert annotated.root is not None
    row = annotated.images.loc[annotated.images["image"] == path].iloc[0]
    image = read_image(annotated.root / path)
    require_size(annotated.root / path, image, (row["width"], row["height"]), "the annotations say")
    return image


def _write_pictures(evaluated: EvaluatedCheckpoint, folder: Path, pictures: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("best-*.jpg"), *folder.glob("worst-*.jpg")):
        old.unlink()
    annotated = evaluated.annotated
    if annotated.root is None:
        return
    chosen = best_and_worst(evaluated.evaluation.image_scores, pictures)
    for stem, score in chosen.items():
        path = annotated.paths[score.image_id]
        picture = draw_comparison(
            _picture(annotated, path),
            annotated.truth[score.image_id],
            evaluated.detections[score.image_id].above(MATCH_SCORE),
            annotated.class_names,
            f"{Path(path).name}   F1 {score.f1:.2f}: {score.found} found, {score.missed} missed, "
            f"{score.false} false",
        )
        picture.save(folder / f"{stem}.jpg", quality=92)
