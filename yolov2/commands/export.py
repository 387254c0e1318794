"""``yolov2 export``."""

import argparse
from pathlib import Path

from yolov2.commands.options import add_section, section_from
from yolov2.config import ExportConfig

SUMMARY = "write a checkpoint as ONNX and TorchScript, and prove both"
DESCRIPTION = """\
Write model.onnx and model.torchscript with decoding, class names, anchors and preprocessing
inside. Each file is run again on real images before it gets its name: a difference from the
checkpoint's results above the tolerance is an error.
"""
EXAMPLE = """\
example:
  yolov2 export --weights runs/train/best.pt --source my/images/val --output-dir exported

Both graphs take images (batch, 3, size, size), RGB in [0, 1], letterboxed, and give
predictions (batch, boxes, 5 + classes): cx, cy, w, h in pixels, objectness, probabilities.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``yolov2 export``."""
    parser.add_argument("--weights", required=True, metavar="FILE", help="a checkpoint (.pt)")
    parser.add_argument(
        "--source",
        required=True,
        metavar="PATH",
        help="an image or a folder of images, such as the model is made for, for the proof",
    )
    parser.add_argument(
        "--output-dir", default="exported", metavar="FOLDER", help="where to write both files"
    )
    add_section(
        parser,
        ExportConfig,
        {
            "images": "how many of the images are run",
            "box_tolerance": "greatest difference of a box coordinate, in pixels",
            "score_tolerance": "greatest difference of a score",
        },
    )


def run(args: argparse.Namespace) -> int:
    """Export, a line for each proven file."""
    config = section_from(args, ExportConfig)

    from yolov2.detection.artefacts import describe, export_checkpoint
    from yolov2.detection.detect import find_images

    images = find_images(Path(args.source))[: config.images]
    for exported in export_checkpoint(Path(args.weights), Path(args.output_dir), images, config):
        print(describe(exported), flush=True)
    return 0
