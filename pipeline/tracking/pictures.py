"""The pictures of an evaluation for its run in MLflow."""

import sys
from pathlib import Path

from pipeline.labels import read_labels
from pipeline.pictures import draw_evaluation as draw
from pipeline.running.recorder import FILES
from pipeline.tracking.recordings import Recording
from yolov2.config.data import DataConfig
from yolov2.config.evaluate import EvaluateConfig

TABLES = "evaluate"
"""Where the stage's report lies among the files of its recording."""


def draw_evaluation(folder: Path) -> None:
    """Add the pictures to the files of an evaluation's recording, in the stage's folder.

    They are for people and decide nothing: what cannot be drawn is told of, and the run has the
    tables.
    """
    recording = Recording.open(folder)
    sections = recording.about["parameters"]
    try:
        labels = read_labels(DataConfig(**sections["data"]))
        tables = folder / FILES / TABLES
        draw(labels, EvaluateConfig(**sections["evaluate"]), tables, tables)
    except (ValueError, OSError) as error:
        print(f"no pictures of this evaluation in MLflow: {error}", file=sys.stderr)
