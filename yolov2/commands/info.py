"""``yolov2 info``."""

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from yolov2.commands.options import add_section, section_from
from yolov2.config.model import DEFAULT_ANCHORS, ModelConfig

if TYPE_CHECKING:
    from yolov2.network.summary import Summary

COCO_CLASSES = 80

SUMMARY = "layers, parameters and cost of a network"
DESCRIPTION = """\
Layer table, parameters, multiply-accumulates (GMAC; darknet's BFLOPs are twice that), grid, and
the greatest number of detections, of a checkpoint or of the network that the options describe.
"""
EXAMPLE = """\
example:
  yolov2 info                                        the paper's network for COCO at 640
  yolov2 info --classes 3 --image-size 320 --width 0.25
  yolov2 info --weights runs/train/best.pt --json
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``yolov2 info``."""
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="a checkpoint (.pt) or the address of one: its classes, width and, unless --image-size"
        " is given, size",
    )
    parser.add_argument(
        "--classes", type=int, default=COCO_CLASSES, metavar="N", help="number of classes"
    )
    add_section(parser, ModelConfig, {"width": "multiplier of the channels"})
    parser.add_argument(
        "--image-size",
        type=int,
        metavar="N",
        help=f"side of the input in pixels (default: {ModelConfig().image_size})",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the summary."""
    model = section_from(args, ModelConfig, image_size=args.image_size or ModelConfig().image_size)

    from yolov2.network.checkpoint import load_detector
    from yolov2.network.summary import summarise
    from yolov2.network.yolov2 import YOLOv2
    from yolov2.runtime.address import resolve

    size = model.image_size
    if args.weights:
        detector = load_detector(resolve(args.weights, prefer=(".pt",)))
        network, size = detector.network, args.image_size or detector.image_size
    else:
        network = YOLOv2(args.classes, DEFAULT_ANCHORS, model.width)
    # on the meta device only shapes are computed
    summary = summarise(network.to("meta"), size)
    print(json.dumps(asdict(summary), indent=2) if args.json else table(summary))
    return 0


def table(summary: "Summary") -> str:
    """The summary as lines of text."""
    lines = [f"{'layer':<24}{'kind':<18}{'output C x H x W':>20}{'parameters':>14}{'GMAC':>9}"]
    for layer in summary.layers:
        output = " x ".join(map(str, layer.output))
        lines.append(
            f"{layer.name:<24}{layer.kind:<18}{output:>20}"
            f"{layer.parameters:>14,}{layer.macs / 1e9:>9.3f}"
        )
    rows, columns = summary.grid
    lines += [
        "",
        f"classes {summary.num_classes}, width {summary.width:g}, input {summary.image_size} px",
        f"parameters      {summary.parameters:,}",
        f"GMAC            {summary.gmac:.2f}",
        f"grid            {rows} x {columns}",
        f"max detections  {summary.max_detections:,}",
    ]
    return "\n".join(lines)
