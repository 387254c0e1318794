"""``yolov2 train``."""

import argparse
import os
from pathlib import Path
from typing import Any

from yolov2.commands.augmentation import AUGMENT
from yolov2.commands.options import add_data, add_device, add_section, section_from
from yolov2.config.augment import AugmentConfig
from yolov2.config.data import AnchorsConfig
from yolov2.config.machine import CheckpointConfig, MachineConfig
from yolov2.config.model import ModelConfig
from yolov2.config.train import (
    FailureConfig,
    LossConfig,
    MultiScaleConfig,
    TrainConfig,
)

SUMMARY = "train a detector on a data set"
DESCRIPTION = """\
Train YOLOv2 from random weights. The run folder gets best.pt (highest AP on the val split),
last.pt (to go on with --resume), history.csv, and parameters, environment and hashes, which
`pipeline track import FOLDER` makes a tracked run of.

The defaults are the published recipe for the full network: days on a CPU. A small data set is
served by a small network: --width 0.25 --image-size 320.
"""
EXAMPLE = """\
example:
  yolov2 train --data my/data.yaml --image-size 416 --epochs 100 --lr-steps 60 85 --batch-size 8
  yolov2 train --data my/data.yaml ... --resume      go on after an interruption: same options
  torchrun --nproc-per-node 4 -m yolov2 train ...    on four cards, a quarter of --batch-size each

Loss = lambda_coord * coordinates + objectness (lambda_noobj where there is no object)
       + lambda_class * classes. Out of memory: lower --batch-size, then --image-size.
"""


MACHINE = {
    "threads": "of the processor, for one network; 0: as the environment says",
    "num_workers": "processes that read images",
    "cache": "keep decoded images in memory or on disk",
    "log_every": "steps from one row of steps.csv to the next",
}
RUN = {
    "seed": "start of every random choice: the same seed gives the same weights on a CPU",
    "validate_every": "epochs from one measurement on the val split to the next",
}
SAVE_PREFIX = "save_"
SAVE = {
    "every_minutes": "minutes from one checkpoint to the next",
    "every_steps": "steps from one checkpoint to the next; 0: by time alone",
    "keep": "earlier checkpoints that stay beside the newest",
}
NETWORK = {
    "image_size": "side of the input in pixels, a multiple of 32",
    "width": "multiplier of the channels; 1 is the paper's network",
}
SCALE_PREFIX = "multi_scale_"
SCALE = {
    "every": "steps from one input size to the next; 0: always --image-size",
    "smallest": "least size, as a share of --image-size",
    "largest": "greatest size, as a share of --image-size",
}
RECIPE = {
    "epochs": "passes over the training images",
    "batch_size": "images computed at a time, over all processes; auto: as many as fit into memory",
    "nominal_batch": "images that an optimiser step learns from; 0: --batch-size",
    "optimizer": "stochastic gradient descent with momentum, or AdamW",
    "lr": "learning rate after the warm-up",
    "lr_schedule": "how it falls: at --lr-steps, in a straight line, or in half a cosine",
    "lr_steps": "epochs after which it is multiplied by --lr-gamma",
    "lr_gamma": "see --lr-steps",
    "lr_final": "with linear and cosine: share of --lr at the end",
    "warmup_epochs": "epochs over which it rises from zero",
    "momentum": "of the optimizer",
    "weight_decay": "of the convolutions' weights",
    "clip_norm": "greatest norm of the gradient; 0: any",
    "ema_decay": "of a moving average of the weights, which is then what is kept; 0: none",
    "patience": "stop after so many epochs without a better AP; 0: never",
}
HARDWARE = {
    "amp": "number format of the network: bfloat16, float16, float32 (off), or what is fast here",
    "tf32": "let CUDA cards round the products of float32",
    "channels_last": "memory layout that convolutions are fast in",
    "compile": "torch.compile: minutes at the start, faster steps on CUDA",
    "sync_batch_norm": "batch statistics over all cards",
}
FAILURE = {
    "on_nan": "a loss that is not finite: stop, or back to the newest checkpoint",
    "rollbacks": "at most so many times",
    "rollback_lr": "with the learning rate times this",
    "on_oom": "too little memory: stop, or halve --batch-size and accumulate gradients",
}
LOSS = {
    "lambda_coord": "weight of the coordinates",
    "lambda_noobj": "weight of the objectness where there is no object",
    "lambda_class": "weight of the classes",
    "ignore_iou": "predictions that overlap an object more count as neither object nor none",
    "objectness_target": "1 where there is an object, or the predicted box's IoU with it",
    "label_smoothing": "share of the class target that is spread over all classes",
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
    add_section(run, MachineConfig, MACHINE)
    add_section(run, TrainConfig, RUN)
    add_section(run, CheckpointConfig, SAVE, prefix=SAVE_PREFIX)
    network = parser.add_argument_group("network")
    add_section(network, ModelConfig, NETWORK)
    network.add_argument(
        "--anchors",
        choices=("kmeans", "default"),
        default=AnchorsConfig().method,
        help="cluster the training boxes, or take darknet's (COCO)",
    )
    scales = parser.add_argument_group("multi-scale training")
    add_section(scales, MultiScaleConfig, SCALE, prefix=SCALE_PREFIX)
    add_section(parser.add_argument_group("recipe"), TrainConfig, RECIPE)
    add_section(parser.add_argument_group("hardware"), TrainConfig, HARDWARE)
    add_section(parser.add_argument_group("when a step fails"), FailureConfig, FAILURE)
    add_section(parser.add_argument_group("loss"), LossConfig, LOSS)
    changes = parser.add_argument_group("random changes of the training images")
    add_section(changes, AugmentConfig, AUGMENT)


def _train_section(args: argparse.Namespace) -> TrainConfig:
    sections: dict[str, Any] = {
        "loss": section_from(args, LossConfig),
        "augment": section_from(args, AugmentConfig),
        "multi_scale": section_from(args, MultiScaleConfig, prefix=SCALE_PREFIX),
        "failure": section_from(args, FailureConfig),
    }
    return section_from(args, TrainConfig, **sections)


def run(args: argparse.Namespace) -> int:
    """Train, a line an epoch."""
    train = _train_section(args)
    model = section_from(args, ModelConfig)
    checkpoint = section_from(args, CheckpointConfig, prefix=SAVE_PREFIX)
    machine = section_from(args, MachineConfig, checkpoint=checkpoint)

    from yolov2.commands.data import load_data
    from yolov2.commands.progress import announce, bar
    from yolov2.data.anchors import choose_anchors

    data = load_data(args)
    report = choose_anchors(data.tables, AnchorsConfig(method=args.anchors), model.image_size)

    # late: mistakes in the data are shown before torch is loaded
    from yolov2.runs.inputs import TrainingInputs
    from yolov2.runs.run import train_run
    from yolov2.termination import terminable
    from yolov2.training.reports import EpochReport, Notice, epoch_line

    inputs = TrainingInputs(
        tables=data.tables,
        root=data.root,
        anchors=tuple((float(w), float(h)) for w, h in report.anchors),
        model=model,
        train=train,
        machine=machine,
    )
    folder = Path(args.save_dir)
    with terminable():
        for event in train_run(inputs, folder, resume=args.resume, progress=bar):
            if isinstance(event, EpochReport):
                print(epoch_line(event), flush=True)
            elif isinstance(event, Notice):
                announce(event.text)
    if int(os.environ.get("RANK", "0")) == 0:  # under torchrun one process tells
        print(f"trained: {folder / 'best.pt'}")
    return 0
