"""``yolov2 anchors``."""

import argparse
from pathlib import Path

from yolov2.commands.options import add_data, add_section, section_from
from yolov2.config.data import AnchorsConfig
from yolov2.config.model import ModelConfig

SUMMARY = "find the anchors that fit a data set"
DESCRIPTION = """\
k-means with the distance 1 - IoU on the training boxes, letterboxed to the input size. Anchors
are in grid cells of 32 pixels; the mean IoU says how well they fit (darknet's own, made for
COCO, are shown beside them).
"""
EXAMPLE = """\
example:
  yolov2 anchors --data my/data.yaml --image-size 416 --output anchors.json
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``yolov2 anchors``."""
    add_data(parser)
    group = parser.add_argument_group("anchors")
    add_section(
        group,
        AnchorsConfig,
        {
            "k": "how many anchors",
            "restarts": "random starts, of which the best counts",
            "seed": "start of the random choices",
        },
    )
    add_section(group, ModelConfig, {"image_size": "side of the input in pixels"})
    group.add_argument("--output", metavar="FILE", help="write the result as JSON too")


def run(args: argparse.Namespace) -> int:
    """Cluster and print the table."""
    config, model = section_from(args, AnchorsConfig), section_from(args, ModelConfig)

    from yolov2.commands.data import load_data
    from yolov2.data.anchor_report import anchor_table
    from yolov2.data.anchors import choose_anchors
    from yolov2.files import write_json

    report = choose_anchors(load_data(args).tables, config, model.image_size)
    print(anchor_table(report))
    if args.output:
        write_json(Path(args.output), report.as_json())
    return 0
