"""``yolov2 detect``."""

import argparse
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from yolov2.commands.detect_report import Report
from yolov2.commands.options import add_device, add_section, section_from
from yolov2.commands.progress import announce, bar
from yolov2.config import DetectConfig
from yolov2.section import require

if TYPE_CHECKING:
    from yolov2.commands.detect_show import Shower
    from yolov2.detection.detect import Detector
    from yolov2.detection.outputs.writers import Writer
    from yolov2.detection.sources import Input

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
"""
EXAMPLE = """\
example:
  yolov2 detect --weights runs/train/best.pt --source photos/ --output-dir found
  yolov2 detect --weights model.onnx --source 'photos/*.jpg' more.mp4 --save drawn csv --classes dog
  yolov2 detect --weights models:/yolov2@champion --source 0 --show

An input that cannot be read is reported and the rest goes on; the exit status is then 1.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``yolov2 detect``."""
    parser.add_argument(
        "--weights",
        required=True,
        metavar="FILE",
        help="a checkpoint (.pt), an exported graph (.onnx, .torchscript, .pt2), or an address"
        " such as models:/yolov2@champion",
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
            " without it the model file's own, 0.5 for a checkpoint",
            "nms_threshold": "IoU above which the weaker of two boxes of a class goes;"
            " default: that of the model file",
            "max_detections": "most detections of an image",
            "image_size": "side of the network's canvas in pixels, a multiple of 32; without it"
            " the one it was trained with",
            "batch_size": "images the network takes at once",
            "half": "compute a checkpoint in float16 on a card, in bfloat16 on a processor",
        },
    )
    add_device(group)


def _add_inputs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--source",
        required=True,
        nargs="+",
        metavar="PATH",
        help="images, videos, folders, patterns in quotes, .txt lists with a path a line, http(s)"
        " addresses, a camera's number, or - for one image from standard input",
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
    """Detect, write, summarise; 1 if something could not be read."""
    config = section_from(args, DetectConfig)
    require(
        NOTHING not in args.save or len(set(args.save)) == 1,
        f"--save {NOTHING} leaves no room for others: {' '.join(args.save)}",
    )
    kinds = [kind for kind in KINDS if kind in args.save]
    require("txt" in kinds or not args.label_scores, "--label-scores goes with --save txt")

    from yolov2.commands.detect_show import Shower
    from yolov2.detection.detect import Detector
    from yolov2.detection.gather import gather
    from yolov2.detection.outputs.writers import require_room

    folder, interrupted = Path(args.output_dir), False
    with ExitStack() as stack:
        downloads = Path(stack.enter_context(TemporaryDirectory(prefix="yolov2-")))
        inputs = gather(args.source, downloads, recursive=args.recursive, apart=folder)
        require_room(folder, kinds, inputs, overwrite=args.overwrite)
        shower = stack.enter_context(closing(Shower(inputs))) if args.show else None
        detector = Detector.load(args.weights, args.device, config)
        writers = stack.enter_context(_writers(args, kinds, inputs, detector))
        report = Report()
        try:
            _work(detector, inputs, writers, report, shower)
        except KeyboardInterrupt:  # what was found until now is kept, in files that are complete
            interrupted = True
    print(report.summary())
    if kinds:
        print(f"{', '.join(kinds)}: {folder}")
    if interrupted:
        raise KeyboardInterrupt
    return 1 if report.unreadable else 0


def _writers(
    args: argparse.Namespace, kinds: Sequence[str], inputs: Sequence["Input"], detector: "Detector"
) -> AbstractContextManager[Sequence["Writer"]]:
    from yolov2.detection.outputs.coco_ids import GroundTruthIds, RunningIds
    from yolov2.detection.outputs.names import Names
    from yolov2.detection.outputs.writers import open_writers

    folder, truth, names = Path(args.output_dir), args.annotations, [one.name for one in inputs]
    ids = GroundTruthIds(Path(truth), names, detector.wanted) if truth else RunningIds()
    return open_writers(folder, kinds, Names(names), ids, label_scores=args.label_scores)


def _work(
    detector: "Detector",
    inputs: Sequence["Input"],
    writers: Sequence["Writer"],
    report: "Report",
    shower: "Shower | None",
) -> None:
    """Every result to every writer, to the report and to the window."""
    from yolov2.detection.frames import Unreadable, count_frames
    from yolov2.detection.stream import detect_inputs

    with closing(detect_inputs(detector, inputs)) as results:
        for result in bar(results, total=count_frames(inputs), unit="image"):
            if isinstance(result, Unreadable):
                report.add_unreadable()
                announce(f"skipped: {result.problem}")
                continue
            if result.note:
                announce(f"note: {result.note}")
            report.add(result.detections.names)
            for write in writers:
                write(result)
            if shower is not None and not shower.show(result):
                return
