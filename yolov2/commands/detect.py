"""``yolov2 detect``."""

import argparse
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

from yolov2.commands.detect_report import Report
from yolov2.commands.options import add_device, add_section, section_from
from yolov2.config.evaluate import DetectConfig
from yolov2.config.section import require
from yolov2.termination import terminable

KINDS = ("drawn", "json", "csv", "parquet", "txt", "crops")
NOTHING = "none"

SUMMARY = "find objects in images, videos or a camera's pictures"
DESCRIPTION = """\
Find objects and write what was asked for with --save into --output-dir:

  drawn     drawn/NAME        the images, or the video, with boxes
  json      detections.json   COCO results: image_id, category_id, bbox [left, top, width, height]
  csv       detections.csv    a line for each detection, box as x1, y1, x2, y2
  parquet   detections.parquet
  txt       labels/NAME.txt   labels in the Ultralytics form: class cx cy width height
  crops     crops/CLASS/NAME-1.jpg ...
  none      nothing, only the summary

Boxes are in pixels of the image as it is seen (turned as its EXIF orientation says); image_id
counts images and frames from 0, or is that of --annotations. Names keep the subfolders.

A box has one class, the likeliest, if its score exceeds the threshold of that class. `yolov2
evaluate` counts a box for every class above 0.001, as average precision wants: it keeps more
detections, and COCO results from here give a slightly other AP than it reports.
"""
EXAMPLE = """\
example:
  yolov2 detect --weights runs/train/best.pt --source photos/ --output-dir found
  yolov2 detect --weights model.onnx --source 'photos/*.jpg' more.mp4 --save drawn csv --classes dog
  yolov2 detect --weights models:/yolov2@champion --source 0 --show

What cannot be read (an image, an address, a video without OpenCV, a name that is not UTF-8), or
whose own results cannot be written (a full disk, a video of 8,192 pixels), is reported and the
rest goes on; the exit status is then 1. A run that is interrupted or fails leaves its tables as
detections.json.partial and its video as NAME.partial.mp4, with what was found until then; Ctrl-C
is how one ends the recording of a camera, whose files are whole.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``yolov2 detect``."""
    parser.add_argument(
        "--weights",
        required=True,
        metavar="FILE",
        help="a checkpoint (.pt), an exported graph (model.onnx and others), or an address such"
        " as models:/yolov2@champion",
    )
    _add_inputs(parser.add_argument_group("what to look at"))
    _add_outputs(parser.add_argument_group("what to write"))
    group = parser.add_argument_group("how to detect")
    group.add_argument(
        "--classes", nargs="+", metavar="NAME", help="find only these classes, by name or number"
    )
    add_section(
        group,
        DetectConfig,
        {
            "conf_threshold": "lowest score (objectness times class probability) of a detection;"
            " without it that of each class, see --thresholds",
            "nms_threshold": "IoU above which the weaker of two boxes of a class goes;"
            " default: that of the model file",
            "max_detections": "most detections of an image",
            "image_size": "side of the network's canvas in pixels, a multiple of 32; without it"
            " the one it was trained with",
            "batch_size": "images the network takes at once",
            "half": "compute a checkpoint in float16 on a card, in bfloat16 on a processor",
        },
    )
    group.add_argument(
        "--thresholds",
        metavar="FILE",
        help="thresholds.json of `yolov2 evaluate --split val`: the score threshold of each class;"
        " default: an exported graph's own; of a checkpoint the thresholds.json beside it, if it"
        " was found with it, else 0.5",
    )
    add_device(group)


def _add_inputs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--source",
        required=True,
        nargs="+",
        metavar="PATH",
        help="images, videos, folders, patterns in quotes, http(s) addresses, .txt lists of paths"
        " or addresses, a camera's number, or - for one image from standard input",
    )
    group.add_argument("--recursive", action="store_true", help="take subfolders as well")


def _add_outputs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--save",
        nargs="+",
        choices=(*KINDS, NOTHING),
        default=["drawn", "json"],
        metavar="KIND",
        help=f"any of {' '.join(KINDS)}, or {NOTHING}",
    )
    group.add_argument(
        "--output-dir", default="detections", metavar="FOLDER", help="where to write the results"
    )
    group.add_argument(
        "--overwrite", action="store_true", help="replace results of the same name there"
    )
    group.add_argument(
        "--annotations",
        metavar="FILE",
        help="COCO ground truth (instances.json): take image_id from it by file name, category_id"
        " by class name",
    )
    group.add_argument(
        "--label-scores", action="store_true", help="end the lines of txt with the score"
    )
    group.add_argument(
        "--show",
        action="store_true",
        help="open a window as well: one for a video, one for each image (at most 10)",
    )


def run(args: argparse.Namespace) -> int:
    """Detect, write, summarise; 1 if something could not be read or written."""
    config = section_from(args, DetectConfig)
    require(
        NOTHING not in args.save or len(set(args.save)) == 1,
        f"--save {NOTHING} leaves no room for others: {' '.join(args.save)}",
    )
    kinds = [kind for kind in KINDS if kind in args.save]
    require("txt" in kinds or not args.label_scores, "--label-scores goes with --save txt")
    require(
        not args.thresholds or args.conf_threshold is None,
        "--conf-threshold and --thresholds both say what counts as found: give one of them",
    )

    from yolov2.commands.detect_show import Shower
    from yolov2.commands.detect_work import open_outputs, work
    from yolov2.detection.detect import Detector
    from yolov2.detection.inputs.gather import gather
    from yolov2.detection.outputs.writers import require_room

    folder, report = Path(args.output_dir), Report()
    try:
        with ExitStack() as stack:
            stack.enter_context(terminable())
            downloads = Path(stack.enter_context(TemporaryDirectory(prefix="yolov2-")))
            inputs = gather(args.source, downloads, recursive=args.recursive, apart=folder)
            require_room(folder, kinds, inputs, overwrite=args.overwrite)
            shower = stack.enter_context(closing(Shower(inputs))) if args.show else None
            thresholds = Path(args.thresholds) if args.thresholds else None
            detector = Detector.load(args.weights, args.device, config, thresholds)
            writers = stack.enter_context(open_outputs(args, kinds, inputs, detector, report))
            report.start()
            work(detector, inputs, writers, report, shower)
    except KeyboardInterrupt:
        if report.images:
            _tell(report, kinds, f"{folder} (until the interruption; tables and videos: *.partial)")
        raise
    _tell(report, kinds, str(folder))
    if detector.thresholds_file and config.conf_threshold is None:
        print(f"thresholds: {detector.thresholds_file}")
    return 1 if report.unreadable or report.unwritten else 0


def _tell(report: Report, kinds: Sequence[str], where: str) -> None:
    print(report.summary())
    if kinds:
        print(f"{', '.join(kinds)}: {where}")
