"""Stage ``anchors``: choose the anchors for the training boxes and show how they fit."""

import json

from pipeline import paths
from pipeline.params.schema import load
from pipeline.running.entry import run_stage
from yolov2.data.anchor_report import anchor_table, save_anchor_plot
from yolov2.data.anchors import choose_anchors
from yolov2.data.table import LabelTables


def main() -> None:
    """Cluster the boxes of the label table; write ``anchors.json`` and the scatter plot."""
    params = load()
    tables = LabelTables.read(paths.ARTIFACTS)
    report = choose_anchors(tables, params.anchors, params.model.image_size)
    text = json.dumps(report.as_json(), indent=2) + "\n"
    paths.ANCHORS.write_text(text, encoding="utf-8")
    save_anchor_plot(report, paths.ANCHORS_PLOT)
    print(anchor_table(report))


if __name__ == "__main__":
    run_stage(main)
