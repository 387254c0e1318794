"""Train from Python: ``python examples/train_from_python.py my/data.yaml runs/own``.

The recipe is `own`'s for a few hundred images; the same command goes on with what was interrupted.
"""

import argparse
from pathlib import Path

from yolov2.config.augment import AugmentConfig
from yolov2.config.data import AnchorsConfig, ValidateConfig
from yolov2.config.machine import MachineConfig
from yolov2.config.model import ModelConfig
from yolov2.config.train import MultiScaleConfig, TrainConfig
from yolov2.data.anchors import choose_anchors
from yolov2.data.description import read_description
from yolov2.data.labels.checks import load_tables
from yolov2.data.labels.problems import DataError, errors
from yolov2.runs.inputs import TrainingInputs
from yolov2.runs.run import train_run
from yolov2.termination import terminable
from yolov2.training.reports import EpochReport, Notice, epoch_line

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("data", type=Path)
parser.add_argument("folder", type=Path)
parser.add_argument("--epochs", type=int, default=80)
parser.add_argument("--image-size", type=int, default=416)
options = parser.parse_args()

model = ModelConfig(image_size=options.image_size, width=0.25)
train = TrainConfig(
    epochs=options.epochs,
    batch_size=8,
    optimizer="adamw",
    lr=0.002,
    weight_decay=0.01,
    lr_schedule="cosine",
    warmup_epochs=2.0,
    ema_decay=0.99,
    validate_every=10,
    multi_scale=MultiScaleConfig(every=0),
    augment=AugmentConfig(jitter=0.2, scale=(0.8, 1.4), mosaic=0.3),
)
description = read_description(options.data)
tables, problems = load_tables(description, ValidateConfig(zero_size="drop"))
if stopping := errors(problems):
    raise DataError(stopping)
anchors = choose_anchors(tables, AnchorsConfig(k=5), model.image_size).anchors
inputs = TrainingInputs(
    tables=tables,
    root=description.root,
    anchors=tuple((float(width), float(height)) for width, height in anchors),
    model=model,
    train=train,
    machine=MachineConfig(device="auto", num_workers=0),
)
with terminable():  # SIGTERM saves a checkpoint first
    for event in train_run(inputs, options.folder, resume=True):
        if isinstance(event, EpochReport):
            print(epoch_line(event), flush=True)
        elif isinstance(event, Notice):
            print(event.text, flush=True)
print(f"trained: {options.folder / 'best.pt'}")
