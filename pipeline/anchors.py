"""Stage ``anchors``: choose the anchors for the training boxes."""

from pipeline import paths
from pipeline.params.reading import read_section
from pipeline.running.entry import run_stage
from pipeline.workspace.inputs import unchanged
from yolov2.config.data import AnchorsConfig
from yolov2.config.model import ModelConfig
from yolov2.data.anchor_report import anchor_table
from yolov2.data.anchors import choose_anchors
from yolov2.data.table import LabelTables
from yolov2.files import write_json, write_text

STAGE = "anchors"


def main() -> None:
    """Cluster the boxes of the label table; write ``anchors.json``, and a table of all sets."""
    with unchanged(STAGE):
        config = read_section("anchors", AnchorsConfig)
        side = read_section("model", ModelConfig).image_size
        report = choose_anchors(LabelTables.read(paths.ARTIFACTS), config, side)
        write_json(paths.ANCHORS, report.as_json())
        write_text(paths.ANCHORS_TABLE, report.as_table().to_csv(index=False))
        print(anchor_table(report))


if __name__ == "__main__":
    run_stage(main, options=False)
