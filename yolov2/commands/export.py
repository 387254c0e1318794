"""``yolov2 export``."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from yolov2.commands.options import add_data, add_section, section_from
from yolov2.config.evaluate import EvaluateConfig
from yolov2.config.export import CALIBRATED, ExportConfig, FormatName
from yolov2.config.section import require

if TYPE_CHECKING:
    from yolov2.export.evidence import Evidence

SUMMARY = "write a checkpoint as ONNX, TorchScript and .pt2, and prove each file"
DESCRIPTION = """\
Write model.onnx and others with decoding, class names, anchors, preprocessing and thresholds
inside. Each file is run again before it gets its name: on real images it must give the
checkpoint's boxes and scores, and on a split of a data set its average precision. If one fails, no
file is kept; what an earlier export left in the folder is replaced in any case.
"""
EXAMPLE = f"""\
example:
  yolov2 export --weights runs/train/best.pt --data my/data.yaml --split val
  yolov2 export --weights runs/train/best.pt --source my/images/val    # AP is not measured
  yolov2 export --weights models:/yolov2@champion --data my/data.yaml --formats pt2

formats: {", ".join(get_args(FormatName))}
(raw: before decoding; nms: finished detections). All take images (batch, 3, height, width), RGB in
[0, 1], letterboxed, sides multiples of 32. Without a data set there is no {", ".join(CALIBRATED)}.
"""


SECTION = {
    "formats": "which files to write",
    "images": "how many of the images are compared with PyTorch",
    "box_tolerance": "greatest difference of a box coordinate, in pixels",
    "score_tolerance": "greatest difference of a score",
    "max_ap_loss": "greatest loss of average precision",
    "calibration_images": "training images to calibrate int8 on",
    "conf_threshold": "what the files detect with: a score, or best_f1 (see --thresholds)",
    "nms_threshold": "IoU above which the weaker of two boxes of a class goes",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``yolov2 export``."""
    parser.add_argument(
        "--weights",
        required=True,
        metavar="FILE",
        help="a checkpoint (.pt), or the address of a model that has one (models:/name@alias)",
    )
    add_data(parser)
    parser.set_defaults(data=None)
    parser.add_argument(
        "--split",
        choices=("train", "val", "test"),
        default="val",
        help="images of --data to measure the average precision on",
    )
    parser.add_argument(
        "--source",
        metavar="PATH",
        help="without --data: an image or a folder of images, such as the model is made for",
    )
    parser.add_argument(
        "--thresholds",
        metavar="FILE",
        help="thresholds.json of `yolov2 evaluate --split val`; default: the one beside --weights,"
        " if it was found with them",
    )
    parser.add_argument(
        "--output-dir", default="exported", metavar="FOLDER", help="where to write the files"
    )
    add_section(parser, ExportConfig, SECTION)


def run(args: argparse.Namespace) -> int:
    """Export, a line for each proven file; a report beside the files."""
    config = section_from(args, ExportConfig)
    require(
        bool(args.data) != bool(args.source),
        "give --data (a data set, to measure the average precision) or --source (images)",
    )
    uncalibrated: tuple[str, ...] = ()
    if args.source and config.formats == ExportConfig().formats:
        uncalibrated = tuple(name for name in config.formats if name in CALIBRATED)
        left = tuple(name for name in config.formats if name not in CALIBRATED)
        config = replace(config, formats=left)

    from yolov2.runtime.address import resolve

    checkpoint = resolve(args.weights, prefer=(".pt",))
    evidence = _evidence(args, checkpoint, config)
    folder = Path(args.output_dir)
    _export(checkpoint, folder, evidence, config)
    for name in uncalibrated:
        print(f"{name} was left out: it is calibrated on, and proven by, a data set (--data)")
    if config.conf_threshold == "best_f1" and not evidence.thresholds:
        print(
            "no thresholds.json: the files detect at 0.5 (`yolov2 evaluate --split val` makes one)"
        )
    print(f"report: {folder / 'export.md'}")
    return 0


def _export(checkpoint: Path, folder: Path, evidence: "Evidence", config: ExportConfig) -> None:
    """Write the files, then the report, a line for each."""
    from yolov2.export.artefacts import Places, export_checkpoint
    from yolov2.export.report import export_line, export_report, export_table
    from yolov2.files import write_json, write_text

    proof, table, exported = folder / "export.json", folder / "export.md", []
    places = Places(folder=folder, reports=(proof, table))
    for item in export_checkpoint(checkpoint, places, evidence, config):
        exported.append(item)
        print(export_line(item), flush=True)
    report = export_report(exported, evidence, config)
    write_json(proof, report)
    write_text(table, export_table(report))


def _evidence(args: argparse.Namespace, checkpoint: Path, config: ExportConfig) -> "Evidence":
    """Of the data set, or of images alone."""
    from yolov2.export.evidence import Evidence, evidence_of
    from yolov2.network.checkpoint import require_checkpoint
    from yolov2.runtime.thresholds import read_thresholds, thresholds_beside

    require_checkpoint(checkpoint)
    file = Path(args.thresholds) if args.thresholds else thresholds_beside(checkpoint)
    thresholds = read_thresholds(file) if file else {}
    if args.data:
        from yolov2.commands.data import load_data

        data = load_data(args)
        evaluation = EvaluateConfig(split=args.split)
        return evidence_of(data.tables, data.root, config, evaluation, thresholds)

    from yolov2.detection.inputs.sources import find_images

    images = find_images(Path(args.source))[: config.images]
    return Evidence(images=images, thresholds=thresholds)
