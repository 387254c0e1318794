"""The report of an evaluation: each figure as a picture for people and as a table for tools."""

from pathlib import Path

from yolov2.evaluation.evaluate import EvaluatedCheckpoint
from yolov2.evaluation.report.pictures import draw_pictures
from yolov2.evaluation.report.tables import write_tables


def write_report(evaluated: EvaluatedCheckpoint, folder: Path, pictures: int) -> None:
    """Write tables and pictures into ``folder``; see ``write_tables`` and ``draw_pictures``."""
    write_tables(evaluated, folder)
    metrics = evaluated.evaluation.as_json()
    draw_pictures(evaluated.annotated, metrics, folder, folder, pictures)
