"""``yolov2 evaluate``."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from yolov2.commands.evaluate_inputs import coco_images, read_shard, report_folder, require_one_way
from yolov2.commands.options import add_data, add_device, add_section, section_from
from yolov2.config.evaluate import EvaluateConfig
from yolov2.evaluation.optimism import caution

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yolov2.detection.detections import Detections
    from yolov2.evaluation.annotated import AnnotatedImages
    from yolov2.evaluation.evaluate import EvaluatedCheckpoint, Shard
    from yolov2.evaluation.metrics import Evaluation
    from yolov2.runtime.model_file import OpenedModel

METRICS, REPORT = "metrics.json", "evaluate"

SUMMARY = "measure a model on a split of a data set"
DESCRIPTION = """\
COCO's twelve numbers by pycocotools with confidence intervals, average precision of every class,
precision-recall and F1 curves, confusion matrix, types of error, calibration, slices, suspected
mistakes of the labels, and pictures of the best and the worst images.

A box counts for every class whose score exceeds --conf-threshold, as average precision wants;
`yolov2 detect` gives each box its likeliest class only, above the thresholds of use.
"""
EXAMPLE = """\
example:
  yolov2 evaluate --weights runs/train/best.pt --data my/data.yaml --split test
  yolov2 evaluate --weights best.pt --annotations instances_val2017.json --images val2017/
  yolov2 evaluate --detections results.json --annotations instances_val2017.json --save-dir out
in shares, on as many machines as there are, then together:
  yolov2 evaluate --weights best.pt --data my/data.yaml --shard 1/2 --save-dir a
  yolov2 evaluate --weights best.pt --data my/data.yaml --shard 2/2 --save-dir b
  yolov2 evaluate --data my/data.yaml --detections a/evaluate/*.parquet b/evaluate/*.parquet

Writes metrics.json and the folder evaluate/ to --save-dir, or beside the model; of a registered
model (models:/NAME@ALIAS) into runs/evaluate/NAME@ALIAS. For the split val also thresholds.json,
the score threshold of each class that gives the best F1. Keep --conf-threshold low: average
precision is the area under the whole curve.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``yolov2 evaluate``."""
    _add_inputs(parser)
    add_data(parser)
    group = parser.add_argument_group("evaluation")
    group.add_argument(
        "--split",
        choices=("train", "val", "test"),
        default=EvaluateConfig().split,
        help="which images; what --annotations are called",
    )
    group.add_argument(
        "--shard",
        metavar="I/N",
        help="detect in share I of N of the images and only write the detections",
    )
    add_section(
        group,
        EvaluateConfig,
        {
            "batch_size": "images the network takes at once",
            "conf_threshold": "lowest score of a detection that counts",
            "nms_threshold": "IoU above which the weaker of two boxes of a class goes",
            "max_detections": "most detections of an image",
            "resamples": "resamples of the images for the confidence intervals, 0 for none",
            "seed": "start of the random resamples",
            "pictures": "how many images to draw, half of them the worst",
        },
    )
    group.add_argument("--num-workers", type=int, default=0, metavar="N", help="reading processes")
    group.add_argument("--save-dir", metavar="FOLDER", help="where to write the report")
    add_device(group)


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="a checkpoint (.pt), an exported graph, or an address such as models:/yolov2@champion",
    )
    parser.add_argument(
        "--detections",
        nargs="+",
        metavar="FILE",
        help="instead of --weights: saved detections (detections.parquet, each image in one of the"
        " files) or COCO results (.json)",
    )
    parser.add_argument(
        "--annotations",
        metavar="FILE",
        help="COCO annotations (instances_*.json) instead of --data; classes go by name",
    )
    parser.add_argument("--images", metavar="FOLDER", help="where the images of --annotations lie")


def run(args: argparse.Namespace) -> int:
    """Measure, write the report, print the numbers."""
    config = section_from(args, EvaluateConfig)
    require_one_way(args)

    from yolov2.commands.data import load_data

    data = None if args.annotations else load_data(args)

    # late: mistakes in the data are shown before torch is loaded
    from yolov2.data.table import digest
    from yolov2.evaluation.annotated import annotated_images
    from yolov2.evaluation.evaluate import evaluate_detections
    from yolov2.runtime.model_file import open_model

    shard = read_shard(args.shard)
    model = open_model(args.weights, args.device) if args.weights else None
    if data is not None:
        annotated = annotated_images(data.tables, config.split, data.root)
    else:
        annotated = coco_images(args, model)
    detections = _detections(args, model, annotated, config, shard)
    folder = report_folder(args)
    if args.shard:
        return _write_share(detections, annotated, shard, folder)
    evaluated = evaluate_detections(annotated, detections, config)
    digests = digest(data.tables) if data is not None else {annotated.split: annotated.digest}
    _write(evaluated, config, digests, folder)
    if evaluated.evaluation.split == "val":
        _write_thresholds(evaluated.evaluation, folder, model)
    print(table(evaluated.evaluation), f"report: {folder / METRICS}, {folder / REPORT}", sep="\n")
    return 0


def _detections(
    args: argparse.Namespace,
    model: "OpenedModel | None",
    annotated: "AnnotatedImages",
    config: EvaluateConfig,
    shard: "Shard",
) -> "Mapping[int, Detections]":
    """What the model finds, or what stands in the files of ``--detections``."""
    from yolov2.commands.progress import announce, bar
    from yolov2.evaluation.evaluate import detect_images, require_classes
    from yolov2.evaluation.shares import gather_detections

    if model is None:
        return gather_detections([Path(file) for file in args.detections], annotated)
    require_classes(model, annotated.class_names)
    return detect_images(
        model,
        annotated,
        config,
        shard=shard,
        num_workers=args.num_workers,
        progress=bar,
        tell=announce,
    )


def _write_share(
    detections: "Mapping[int, Detections]",
    annotated: "AnnotatedImages",
    shard: "Shard",
    folder: Path,
) -> int:
    from yolov2.evaluation.detections_file import write_detections

    path = folder / REPORT / f"detections-{shard.number}-of-{shard.count}.parquet"
    write_detections(path, detections, annotated)
    print(f"{len(detections)} of {len(annotated.truth)} images: {path}")
    return 0


def _write(
    evaluated: "EvaluatedCheckpoint", config: EvaluateConfig, digests: dict[str, str], folder: Path
) -> None:
    from yolov2.evaluation.evaluate import write_metrics
    from yolov2.evaluation.report.files import write_report
    from yolov2.files import write_json
    from yolov2.runs.folder import EVALUATION

    evaluation = evaluated.evaluation
    write_metrics(evaluation, folder / METRICS)
    write_json(folder / EVALUATION, {"parameters": asdict(config), "data": digests})
    write_report(evaluated, folder / REPORT, config.pictures)


def _write_thresholds(evaluation: "Evaluation", folder: Path, model: "OpenedModel | None") -> None:
    """The best thresholds, with the hash of the model file that they belong to, if it is known."""
    from yolov2.evaluation.thresholds import best_thresholds, write_thresholds
    from yolov2.files import file_sha256
    from yolov2.runtime.thresholds import THRESHOLDS

    best = best_thresholds(evaluation.matches, evaluation.class_names)
    weights = None if model is None else file_sha256(model.path)
    write_thresholds(folder / THRESHOLDS, best, evaluation.split, weights)


def table(evaluation: "Evaluation") -> str:
    """The twelve numbers with intervals, then AP and AP50 of the classes, as lines of text."""
    lines = []
    for name, value in evaluation.stats.items():
        low, high = evaluation.intervals.get(name, (None, None))
        ends = "" if low is None else f"   95 %: {low:.4f} to {high:.4f}"
        lines.append(f"{name:<10}{value:>8.4f}{ends}")
    per_class = evaluation.per_class
    width = max(map(len, per_class), default=0) + 2
    lines.append(f"{'':<{width}}{'AP':>8}{'AP50':>8}")
    for name, values in per_class.items():
        lines.append(f"{name:<{width}}{values['AP']:>8.4f}{values['AP50']:>8.4f}")
    lines += filter(None, [caution(evaluation.split)])
    return "\n".join(lines)
