"""The pictures of an evaluation: plots, the best and worst images, suspected mistakes of labels."""

from pathlib import Path

import pandas as pd
from PIL import Image

from yolov2.data.images.reading import read_image, require_size
from yolov2.detection.draw import draw_comparison
from yolov2.evaluation.annotated import AnnotatedImages
from yolov2.evaluation.confusion import MATCH_SCORE, ImageScore
from yolov2.evaluation.diagnosis import label_errors
from yolov2.evaluation.evaluate import EvaluatedCheckpoint
from yolov2.evaluation.metrics import Evaluation
from yolov2.evaluation.report.curves import save_confidence_plot, save_pr_plot
from yolov2.evaluation.report.label_sheet import label_error_sheet
from yolov2.evaluation.report.plots import (
    save_confusion_plot,
    save_errors_plot,
    save_reliability_plot,
    save_sizes_plot,
    save_slices_plot,
)
from yolov2.evaluation.report.tables import size_table
from yolov2.evaluation.thresholds import best_thresholds, confidence_curves

LABEL_SHEET = "label_errors.jpg"


def draw_pictures(
    evaluated: EvaluatedCheckpoint, tables: Path, folder: Path, pictures: int
) -> None:
    """Draw plots (PNG) and pictures into ``folder`` from what ``write_tables`` put into ``tables``.

    ``pictures`` is the number of images drawn in ``folder/images``: the better half are the best
    images, the rest the worst. Where the image files are not at hand, there are none of them and
    no sheet of label errors.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _draw_figures(evaluated.evaluation, folder)
    save_slices_plot(pd.read_csv(tables / "slices.csv"), folder / "slices.png")
    _draw_label_errors(evaluated, folder)
    _draw_images(evaluated, folder / "images", pictures)


def best_and_worst(scores: list[ImageScore], pictures: int) -> dict[str, ImageScore]:
    """Up to ``pictures`` images to look at by file stem: ``best-1``, ..., ``worst-1``, ...

    ``scores`` come best first. No image appears twice.
    """
    pictures = min(pictures, len(scores))
    best = pictures - pictures // 2
    chosen = {f"best-{i}": score for i, score in enumerate(scores[:best], start=1)}
    worst = scores[::-1][: pictures // 2]
    return chosen | {f"worst-{i}": score for i, score in enumerate(worst, start=1)}


def _draw_figures(evaluation: Evaluation, folder: Path) -> None:
    names = list(evaluation.class_names)
    save_pr_plot(evaluation.pr_curves, evaluation.per_class, names, folder / "pr_curve.png")
    curves = confidence_curves(evaluation.matches, names)
    best = best_thresholds(evaluation.matches, names)
    save_confidence_plot(curves, best, names, folder / "confidence.png")
    save_confusion_plot(evaluation.confusion, names, folder / "confusion.png")
    save_reliability_plot(evaluation.calibration, folder / "reliability.png")
    save_errors_plot(evaluation.errors, folder / "errors.png")
    save_sizes_plot(size_table(evaluation), names, folder / "sizes.png")


def _draw_label_errors(evaluated: EvaluatedCheckpoint, folder: Path) -> None:
    annotated = evaluated.annotated
    if annotated.root is None:
        return
    candidates = label_errors(evaluated.evaluation.judge, annotated.truth, evaluated.detections)
    sheet = label_error_sheet(candidates, annotated, lambda path: _picture(annotated, path))
    sheet.save(folder / LABEL_SHEET, quality=90)


def _picture(annotated: AnnotatedImages, path: str) -> Image.Image:
    """An image to draw boxes on, which are in pixels of the annotated one."""
    assert annotated.root is not None
    row = annotated.images.loc[annotated.images["image"] == path].iloc[0]
    image = read_image(annotated.root / path)
    require_size(annotated.root / path, image, (row["width"], row["height"]), "the annotations say")
    return image


def _draw_images(evaluated: EvaluatedCheckpoint, folder: Path, pictures: int) -> None:
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
