"""The pictures of an evaluation: plots, the best and worst images, suspected mistakes of labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from yolov2.data.images.reading import read_image, require_size
from yolov2.detection.detections import Detections
from yolov2.detection.draw import draw_comparison
from yolov2.evaluation.annotated import AnnotatedImages
from yolov2.evaluation.detections_file import NAME as DETECTIONS
from yolov2.evaluation.detections_file import detections_of
from yolov2.evaluation.report.curves import save_confidence_plot, save_pr_plot
from yolov2.evaluation.report.label_sheet import label_error_sheet
from yolov2.evaluation.report.plots import (
    save_confusion_plot,
    save_errors_plot,
    save_reliability_plot,
    save_sizes_plot,
    save_slices_plot,
)
from yolov2.evaluation.report.reading import (
    read_best_thresholds,
    read_confusion,
    read_curves,
    read_image_scores,
    read_label_errors,
    read_slices,
)
from yolov2.evaluation.rows import MATCH_SCORE, ImageScore

LABEL_SHEET = "label_errors.jpg"


def draw_pictures(
    annotated: AnnotatedImages,
    metrics: Mapping[str, Any],
    tables: Path,
    folder: Path,
    pictures: int,
) -> None:
    """Draw plots (PNG) and pictures into ``folder`` from what ``write_tables`` put into ``tables``.

    ``metrics`` is the content of ``metrics.json``. ``pictures`` is the number of images drawn in
    ``folder/images``: the better half are the best images, the rest the worst. Where the image
    files are not at hand, there are none of them and no sheet of label errors.

    Raises:
        ValueError: the detections in ``tables`` are not of these images.
    """
    detections = detections_of(tables / DETECTIONS, annotated)
    folder.mkdir(parents=True, exist_ok=True)
    _draw_figures(tables, metrics, list(annotated.class_names), folder)
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for old in (*images.glob("best-*.jpg"), *images.glob("worst-*.jpg")):
        old.unlink()
    if annotated.root is None:
        return
    candidates = read_label_errors(tables / "label_errors.csv", annotated, detections)
    sheet = label_error_sheet(candidates, annotated, lambda path: _picture(annotated, path))
    sheet.save(folder / LABEL_SHEET, quality=90)
    chosen = best_and_worst(read_image_scores(tables / "images.csv"), pictures)
    _draw_images(annotated, detections, chosen, images)


def best_and_worst(scores: list[ImageScore], pictures: int) -> dict[str, ImageScore]:
    """Up to ``pictures`` images to look at by file stem: ``best-1``, ..., ``worst-1``, ...

    ``scores`` come best first. No image appears twice.
    """
    pictures = min(pictures, len(scores))
    best = pictures - pictures // 2
    chosen = {f"best-{i}": score for i, score in enumerate(scores[:best], start=1)}
    worst = scores[::-1][: pictures // 2]
    return chosen | {f"worst-{i}": score for i, score in enumerate(worst, start=1)}


def _draw_figures(tables: Path, metrics: Mapping[str, Any], names: list[str], folder: Path) -> None:
    curves = pd.read_csv(tables / "pr_curve.csv")
    save_pr_plot(curves, metrics["per_class"], names, folder / "pr_curve.png")
    best = read_best_thresholds(tables / "best_thresholds.csv")
    save_confidence_plot(read_curves(tables), best, names, folder / "confidence.png")
    confusion = read_confusion(tables / "confusion.csv", names)
    save_confusion_plot(confusion, names, folder / "confusion.png")
    bins = pd.read_csv(tables / "reliability.csv")
    save_reliability_plot(bins, metrics["ECE"], folder / "reliability.png")
    save_errors_plot(pd.read_csv(tables / "errors.csv"), folder / "errors.png")
    save_sizes_plot(pd.read_csv(tables / "sizes.csv"), names, folder / "sizes.png")
    save_slices_plot(read_slices(tables / "slices.csv"), folder / "slices.png")


def _picture(annotated: AnnotatedImages, path: str) -> Image.Image:
    """An image to draw boxes on, which are in pixels of the annotated one."""
    assert annotated.root is not None
    row = annotated.images.loc[annotated.images["image"] == path].iloc[0]
    image = read_image(annotated.root / path)
    require_size(annotated.root / path, image, (row["width"], row["height"]), "the annotations say")
    return image


def _draw_images(
    annotated: AnnotatedImages,
    detections: Mapping[int, Detections],
    chosen: Mapping[str, ImageScore],
    folder: Path,
) -> None:
    """What is annotated beside what was found, a file for each of the images ``chosen``."""
    for stem, score in chosen.items():
        path = annotated.paths[score.image_id]
        picture = draw_comparison(
            _picture(annotated, path),
            annotated.truth[score.image_id],
            detections[score.image_id].above(MATCH_SCORE),
            annotated.class_names,
            f"{Path(path).name}   F1 {score.f1:.2f}: {score.found} found, {score.missed} missed, "
            f"{score.false} false",
        )
        picture.save(folder / f"{stem}.jpg", quality=92)
