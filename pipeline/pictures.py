"""The pictures of an evaluation, drawn from what the stage ``evaluate`` has written."""

from pathlib import Path

from pipeline.labels import Labels
from pipeline.running.files import read_json
from yolov2.evaluation.annotated import annotated_images
from yolov2.evaluation.report.pictures import draw_pictures


def draw_evaluation(labels: Labels, metrics: Path, tables: Path, pictures: int) -> None:
    """Draw the pictures of an evaluation into the folder of its tables.

    ``metrics`` is its ``metrics.json``, ``pictures`` the number of images to draw.

    Raises:
        ValueError: the detections are not of these images.
    """
    found = read_json(metrics, "`dvc repro evaluate`")
    annotated = annotated_images(labels.tables, found["split"], labels.root)
    draw_pictures(annotated, found, tables, tables, pictures)
