"""The pictures of an evaluation for its run in MLflow."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.labels import read_labels
from pipeline.paths import METRICS
from pipeline.pictures import draw_evaluation
from yolov2.config.data import DataConfig
from yolov2.config.evaluate import EvaluateConfig

TABLES = "evaluate"
"""Where the stage's report lies among the files of its recording."""


def add_pictures(files: Path, sections: Mapping[str, Any]) -> None:
    """Add the pictures to the files of an evaluation's recording, in a folder with its data.

    They are for people and decide nothing: what cannot be drawn is told of, and the run has the
    tables.
    """
    try:
        labels = read_labels(DataConfig(**sections["data"]))
        pictures = EvaluateConfig(**sections["evaluate"]).pictures
        draw_evaluation(labels, files / METRICS.name, files / TABLES, pictures)
    except (ValueError, OSError) as error:
        print(f"no pictures of this evaluation in MLflow: {error}", file=sys.stderr)
