"""Stage ``report``: pictures for people, drawn from what the other stages have written."""

import pandas as pd

from pipeline import paths
from pipeline.labels import read_labels
from pipeline.params.reading import read_section
from pipeline.pictures import draw_evaluation
from pipeline.running.entry import run_stage
from pipeline.running.files import read_json
from pipeline.workspace.inputs import unchanged
from yolov2.config.data import DataConfig
from yolov2.config.evaluate import EvaluateConfig
from yolov2.data.anchor_plot import save_anchor_plot
from yolov2.data.box_sizes import letterboxed_sizes
from yolov2.training.curves import plot_training_curves

STAGE = "report"


def main() -> None:
    """Draw the anchors, the curves of the training and the pictures of the evaluation."""
    with unchanged(STAGE):
        labels = read_labels(read_section("data", DataConfig))
        side = read_json(paths.ANCHORS, "`dvc repro anchors`")["image_size"]
        sizes = letterboxed_sizes(labels.tables, "train", side)
        anchors = pd.read_csv(paths.ANCHORS_TABLE)
        save_anchor_plot(anchors, sizes, side, paths.ANCHORS_PLOT)
        plot_training_curves(pd.read_csv(paths.HISTORY), paths.CURVES)
        pictures = read_section("evaluate", EvaluateConfig).pictures
        draw_evaluation(labels, paths.METRICS, paths.EVALUATE_REPORT, pictures)


if __name__ == "__main__":
    run_stage(main, options=False)
