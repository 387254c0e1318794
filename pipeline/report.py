"""Stage ``report``: pictures for people, drawn from what the other stages have written."""

import pandas as pd

from pipeline import paths
from pipeline.labels import read_labels
from pipeline.params.reading import read_section
from pipeline.pictures import draw_evaluation
from pipeline.running.entry import run_stage
from pipeline.workspace.inputs import unchanged
from yolov2.config.data import AnchorsConfig, DataConfig
from yolov2.config.evaluate import EvaluateConfig
from yolov2.config.model import ModelConfig
from yolov2.data.anchor_plot import save_anchor_plot
from yolov2.data.anchors import choose_anchors
from yolov2.training.curves import plot_training_curves

STAGE = "report"


def main() -> None:
    """Draw the anchors, the curves of the training and the pictures of the evaluation."""
    with unchanged(STAGE):
        labels = read_labels(read_section("data", DataConfig))
        side = read_section("model", ModelConfig).image_size
        chosen = choose_anchors(labels.tables, read_section("anchors", AnchorsConfig), side)
        save_anchor_plot(chosen, paths.ANCHORS_PLOT)
        plot_training_curves(pd.read_csv(paths.HISTORY), paths.CURVES)
        config = read_section("evaluate", EvaluateConfig)
        draw_evaluation(labels, config, paths.EVALUATE_REPORT, paths.EVALUATE_REPORT)


if __name__ == "__main__":
    run_stage(main, options=False)
