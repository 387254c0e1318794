"""A small training as a program, for tests that kill it or start it several times.

``python -m tests.yolov2.trainer FOLDER [key=value ...]`` trains into ``FOLDER/run``, going on
with what is there; keys are fields of ``TrainConfig`` or ``MachineConfig`` and, with a point, of
their sections. With FROZEN_STATISTICS in the environment batch norm uses its running statistics,
which do not change; with SUMMED_STATISTICS ``sync_batch_norm`` is that of ``summed_batch_norm``.
"""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from tests.yolov2.scenes import squares
from tests.yolov2.summed_batch_norm import summed
from yolov2.config.augment import AugmentConfig
from yolov2.config.machine import CheckpointConfig, MachineConfig
from yolov2.config.model import ModelConfig
from yolov2.config.train import MultiScaleConfig, TrainConfig
from yolov2.runs.inputs import TrainingInputs
from yolov2.runs.run import train_run
from yolov2.termination import terminable
from yolov2.training.reports import EpochReport, Notice, Saved, StepReport
from yolov2.training.world import World

ANCHORS = ((0.6, 0.6), (1.0, 1.0))
RECIPE = TrainConfig(
    epochs=3,
    batch_size=2,
    nominal_batch=4,
    lr=0.01,
    lr_schedule="cosine",
    warmup_epochs=0.5,
    ema_decay=0.9,
    validate_every=2,
    amp="off",
    multi_scale=MultiScaleConfig(every=2, smallest=0.66, largest=1.5),
    augment=AugmentConfig(mosaic=0.5, mixup=0.3, mosaic_off_epochs=1),
)
MACHINE = MachineConfig(
    num_workers=0,
    device="cpu",
    log_every=2,
    checkpoint=CheckpointConfig(every_minutes=1e6, every_steps=0),
)


def changed(section: Any, settings: dict[str, Any]) -> Any:
    """``section`` with other values, ``checkpoint.every_steps`` for a field of a section."""
    own: dict[str, Any] = {}
    for name, value in settings.items():
        section_name, _, rest = name.partition(".")
        inner = own.get(section_name, getattr(section, section_name))
        own[section_name] = changed(inner, {rest: value}) if rest else value
    return replace(section, **own)


def small_inputs(root: Path, **settings: Any) -> TrainingInputs:
    """Ten training and three validation squares, a network of 64 pixels.

    ``settings`` are fields of ``TrainConfig``, or of ``MachineConfig``.
    """
    own = {
        name: settings.pop(name) for name in list(settings) if hasattr(MACHINE, name.split(".")[0])
    }
    return TrainingInputs(
        tables=squares(root / "set", train=10),
        root=root / "set",
        anchors=ANCHORS,
        model=ModelConfig(image_size=64, width=0.125),
        train=changed(RECIPE, settings),
        machine=changed(MACHINE, own),
    )


def main() -> None:
    """Train, and say each event as it comes."""
    if "FROZEN_STATISTICS" in os.environ:
        nn.BatchNorm2d.train = lambda self, mode=True: nn.Module.train(self, False)  # type: ignore[method-assign]
    if "SUMMED_STATISTICS" in os.environ:
        World.synchronised = lambda self, network, device: summed(network)  # type: ignore[method-assign]
    root, *given = sys.argv[1:]
    settings = {}
    for each in given:
        name, text = each.split("=", 1)
        settings[name] = json.loads(text) if text[0] in "-0123456789tf[" else text
    with terminable():
        for event in train_run(
            small_inputs(Path(root), **settings), Path(root) / "run", resume=True
        ):
            if isinstance(event, StepReport):
                print(f"step {event.step}", flush=True)
            elif isinstance(event, EpochReport):
                print(f"epoch {event.epoch}", flush=True)
            elif isinstance(event, Notice):
                print(f"notice {event.text}", flush=True)
            elif isinstance(event, Saved):
                print(f"saved {event.step}", flush=True)


if __name__ == "__main__":
    main()
