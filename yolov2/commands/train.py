"""``yolov2 train``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from yolov2.commands.options import add_data, add_device, add_section, section_from
from yolov2.config import AnchorsConfig, ModelConfig
from yolov2.train_config import AugmentConfig, LossConfig, TrainConfig

if TYPE_CHECKING:
    from yolov2.training.loop import EpochReport

SUMMARY = "train a detector on a data set"
DESCRIPTION = """\
Train YOLOv2 from random weights. The run folder gets best.pt (highest AP on the val split),
last.pt (to go on with --resume), history.csv, and parameters, environment and hashes, which
`python -m pipeline.track import FOLDER` makes a tracked run of.

The defaults are the published recipe for the full network: days on a CPU. A small data set is
served by a small network: --width 0.25 --image-size 320.
"""
EXAMPLE = """\
example:
  yolov2 train --data my/data.yaml --image-size 416 --epochs 100 --lr-steps 60 85 --batch-size 8
  yolov2 train --data my/data.yaml ... --resume      go on after an interruption: same options

Loss = lambda_coord * coordinates + objectness (lambda_noobj where there is no object)
       + lambda_class * classes. Out of memory: lower --batch-size, then --image-size.
"""


RUN = {
    "num_workers": "processes that read images",
    "seed": "start of every random choice: the same seed gives the same weights on a CPU",
    "validate_every": "epochs from one measurement on the val split to the next",
}
NETWORK = {
    "image_size": "side of the input in pixels, a multiple of 32",
    "width": "multiplier of the channels; 1 is the paper's network",
}
RECIPE = {
    "epochs": "passes over the training images",
    "batch_size": "images of one step",
    "optimizer": "stochastic gradient descent with momentum, or AdamW",
    "lr": "learning rate after the warm-up",
    "lr_schedule": "how it falls: at --lr-steps, or in a straight line to zero",
    "lr_steps": "epochs after which it is multiplied by --lr-gamma",
    "lr_gamma": "see --lr-steps",
    "warmup_epochs": "epochs over which it rises from zero",
    "momentum": "of the optimizer",
    "weight_decay": "of the convolutions' weights",
    "clip_norm": "greatest norm of the gradient; 0: any",
}
LOSS = {
    "lambda_coord": "weight of the coordinates",
    "lambda_noobj": "weight of the objectness where there is no object",
    "lambda_class": "weight of the classes",
    "ignore_iou": "predictions that overlap an object more count as neither object nor none",
    "objectness_target": "1 where there is an object, or the predicted box's IoU with it",
}
AUGMENT = {
    "flip": "share of mirrored images; 0 where left and right matter (digits, signs)",
    "brightness": "greatest relative change",
    "contrast": "greatest relative change",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``yolov2 train``."""
    add_data(parser)
    run = parser.add_argument_group("run")
    run.add_argument("--save-dir", default="runs/train", metavar="FOLDER", help="the run folder")
    run.add_argument(
        "--resume",
        action="store_true",
        help="go on with the unfinished training in --save-dir; data and recipe must be the same",
    )
    add_device(run)
    add_section(run, TrainConfig, RUN)
    network = parser.add_argument_group("network")
    add_section(network, ModelConfig, NETWORK)
    network.add_argument(
        "--anchors",
        choices=("kmeans", "default"),
        default=AnchorsConfig().method,
        help="cluster the training boxes, or take darknet's (COCO)",
    )
    add_section(parser.add_argument_group("recipe"), TrainConfig, RECIPE)
    add_section(parser.add_argument_group("loss"), LossConfig, LOSS)
    changes = parser.add_argument_group("random changes of the training images")
    add_section(changes, AugmentConfig, AUGMENT)


def run(args: argparse.Namespace) -> int:
    """Train, a line an epoch."""
    loss, augment = section_from(args, LossConfig), section_from(args, AugmentConfig)
    train = section_from(args, TrainConfig, loss=loss, augment=augment)
    model = section_from(args, ModelConfig)

    from yolov2.commands.data import load_data
    from yolov2.commands.progress import bar
    from yolov2.data.anchors import choose_anchors

    data = load_data(args)
    report = choose_anchors(data.tables, AnchorsConfig(method=args.anchors), model.image_size)

    # late: mistakes in the data are shown before torch is loaded
    from yolov2.runs import TrainingInputs, train_run

    inputs = TrainingInputs(
        tables=data.tables,
        root=data.root,
        anchors=tuple((float(w), float(h)) for w, h in report.anchors),
        model=model,
        train=train,
    )
    folder = Path(args.save_dir)
    for epoch in train_run(inputs, folder, resume=args.resume, progress=bar):
        print(describe(epoch), flush=True)
    print(f"trained: {folder / 'best.pt'}")
    return 0


def describe(report: "EpochReport") -> str:
    """One line for people: where the training stands."""
    losses = "  ".join(f"{name} {value:.3f}" for name, value in report.losses.items())
    line = f"epoch {report.epoch}/{report.epochs}  {losses}  {report.images_per_second:.1f} img/s"
    if report.collisions:
        line += f"  {report.collisions} boxes lost their slot"
    if report.validation is not None:
        best = " (best)" if report.is_best else ""
        line += f"  val AP {report.validation['AP']:.3f} AP50 {report.validation['AP50']:.3f}{best}"
    return line
