"""The pictures of an evaluation, drawn from what the stage ``evaluate`` has written."""

from dataclasses import replace
from pathlib import Path

from pipeline.labels import Labels
from yolov2.config.evaluate import EvaluateConfig
from yolov2.evaluation.annotated import annotated_images
from yolov2.evaluation.detections_file import NAME, gather_detections
from yolov2.evaluation.evaluate import evaluate_detections
from yolov2.evaluation.report.pictures import draw_pictures


def draw_evaluation(labels: Labels, config: EvaluateConfig, tables: Path, folder: Path) -> None:
    """Draw the pictures of the evaluation on ``config.split`` into ``folder``.

    ``tables`` is the folder with its tables and ``detections.parquet``.

    Raises:
        ValueError: the detections are not of these images.
    """
    annotated = annotated_images(labels.tables, config.split, labels.root)
    detections = gather_detections([tables / NAME], annotated)
    # no picture shows the intervals that cost the resamples
    evaluated = evaluate_detections(annotated, detections, replace(config, resamples=0))
    draw_pictures(evaluated, tables, folder, config.pictures)
