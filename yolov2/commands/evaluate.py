"""``yolov2 evaluate``."""

import argparse
from dataclasses import asdict
from pathlib import Path

from yolov2.commands.options import add_data, add_device, add_section, section_from
from yolov2.config import EvaluateConfig

SUMMARY = "measure a checkpoint on a split of a data set"
DESCRIPTION = """\
COCO's twelve numbers by pycocotools, average precision of every class, precision-recall curve,
confusion matrix, and pictures of the best and the worst images.
"""
EXAMPLE = """\
example:
  yolov2 evaluate --weights runs/train/best.pt --data my/data.yaml --split test

Writes metrics.json and the folder evaluate/ beside the checkpoint, or to --save-dir. Keep
--conf-threshold low: average precision is the area under the whole curve.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``yolov2 evaluate``."""
    parser.add_argument("--weights", required=True, metavar="FILE", help="a checkpoint (.pt)")
    add_data(parser)
    group = parser.add_argument_group("evaluation")
    group.add_argument(
        "--split",
        choices=("train", "val", "test"),
        default=EvaluateConfig().split,
        help="which images",
    )
    add_section(
        group,
        EvaluateConfig,
        {
            "batch_size": "images the network takes at once",
            "conf_threshold": "lowest score of a detection that counts",
            "nms_threshold": "IoU above which the weaker of two boxes of a class goes",
            "max_detections": "most detections of an image",
            "pictures": "how many images to draw, half of them the worst",
        },
    )
    group.add_argument("--num-workers", type=int, default=0, metavar="N", help="reading processes")
    group.add_argument("--save-dir", metavar="FOLDER", help="where to write the report")
    add_device(group)


def run(args: argparse.Namespace) -> int:
    """Measure, write the report, print the numbers."""
    config = section_from(args, EvaluateConfig)

    from yolov2.commands.data import load_data
    from yolov2.commands.progress import bar

    data = load_data(args)

    # late: mistakes in the data are shown before torch is loaded
    from yolov2.data.table import digest
    from yolov2.detection.evaluate import evaluate_checkpoint, write_metrics, write_report
    from yolov2.network.device import resolve_device
    from yolov2.run_folder import EVALUATION, METRICS, write_json

    weights = Path(args.weights)
    evaluated = evaluate_checkpoint(
        weights,
        data.tables,
        data.root,
        config,
        device=resolve_device(args.device),
        num_workers=args.num_workers,
        progress=bar,
    )
    folder = Path(args.save_dir) if args.save_dir else weights.parent
    write_metrics(evaluated.evaluation, folder / METRICS)
    about = {"parameters": asdict(config), "data": digest(data.tables)}
    write_json(folder / EVALUATION, about)
    write_report(evaluated, data.tables, data.root, folder / "evaluate", config.pictures)
    print(table(evaluated.evaluation.stats, evaluated.evaluation.per_class))
    print(f"report: {folder / METRICS}, {folder / 'evaluate'}")
    return 0


def table(stats: dict[str, float], per_class: dict[str, dict[str, float]]) -> str:
    """The twelve numbers, then AP and AP50 of the classes, as lines of text."""
    lines = [f"{name:<10}{value:>8.4f}" for name, value in stats.items()]
    width = max(map(len, per_class), default=0) + 2
    lines.append(f"{'':<{width}}{'AP':>8}{'AP50':>8}")
    for name, values in per_class.items():
        lines.append(f"{name:<{width}}{values['AP']:>8.4f}{values['AP50']:>8.4f}")
    return "\n".join(lines)
