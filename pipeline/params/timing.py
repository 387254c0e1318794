"""How long a training will take on this machine: some of its real steps, timed.

Images are read and changed as in the training, the network of the chosen size is trained by the
chosen recipe, and detects on some images of the val split; what is learnt is thrown away.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.params.schema import Params
from yolov2.config.model import DEFAULT_ANCHORS
from yolov2.config.train import TrainConfig
from yolov2.data.table import LabelTables

if TYPE_CHECKING:
    import torch

    from yolov2.network.yolov2 import YOLOv2
    from yolov2.runs.inputs import TrainingInputs
    from yolov2.training.world import World

Clock = Callable[[], float]
"""Seconds since some moment."""

WARM_UP = 2
"""Steps before the clock runs: memory is allocated and kernels are chosen in them."""
SECONDS, FEWEST = 10.0, 5
"""How long is timed, and at least so many steps."""
VALIDATED = 48
"""Images of the val split that are detected on against the clock, and a third before it."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds of a step and of validating an image, for a batch that fits into memory.

    ``batch_size`` is what fits at a time, ``images`` what a step learns from; ``machine`` says
    where it was measured.
    """

    step: float
    validated_image: float
    batch_size: int
    images: int
    machine: str

    def times(self, factor: float) -> "Timing":
        """What a network of ``factor`` times the work would take."""
        return replace(self, step=factor * self.step, validated_image=factor * self.validated_image)

    def total(self, train: TrainConfig, images: Mapping[str, int]) -> float:
        """Seconds of a whole training on so many ``images`` by split."""
        steps = train.epochs * -(-images["train"] // self.images)
        validations = -(-train.epochs // train.validate_every)
        return steps * self.step + validations * images["val"] * self.validated_image


def measure(
    params: Params, tables: LabelTables, root: Path, clock: Clock = time.perf_counter
) -> Timing:
    """Time the training of ``params`` on ``tables``, whose image paths start at ``root``.

    Raises:
        ValueError: there are no boxes in the val split, or an image cannot be read.
        TooLittleMemoryError: not even one image fits into memory.
    """
    import torch

    from yolov2.network.device import resolve_device
    from yolov2.runs.assembly import build_training
    from yolov2.runs.inputs import TrainingInputs
    from yolov2.training.reports import StepReport
    from yolov2.training.world import World

    device, world = resolve_device(params.machine.device), World()
    assert isinstance(params.train.batch_size, int), "what is looked for here"
    wanted = params.train.nominal_batch or params.train.batch_size
    inputs = TrainingInputs(
        tables=_only(tables, "train", len(tables.images)),
        root=root,
        anchors=DEFAULT_ANCHORS,  # their sizes cost nothing
        model=params.model,
        train=replace(params.train, batch_size="auto", nominal_batch=wanted),
        machine=params.machine,
    )
    training = build_training(inputs, device, world)
    with closing(training.events()) as events:  # type: ignore[type-var]
        steps = (event for event in events if isinstance(event, StepReport))
        step = _seconds_of_a_step(steps, clock)
    network = training.optimiser.evaluated.eval()
    seconds = 0.0
    for count in (VALIDATED // 3, VALIDATED):  # the first warms up
        some = replace(inputs, tables=_only(tables, "val", count))
        seconds = _seconds_of_an_image(some, network, device, world, clock)
    threads = torch.get_num_threads()
    on_cpu = f"this CPU ({threads} thread{'s' if threads > 1 else ''})"
    return Timing(
        step=step,
        validated_image=seconds,
        batch_size=training.at.batch_size,
        images=training.at.nominal_batch,
        machine=on_cpu if device.type == "cpu" else torch.cuda.get_device_name(device),
    )


def _seconds_of_an_image(
    inputs: "TrainingInputs",
    network: "YOLOv2",
    device: "torch.device",
    world: "World",
    clock: Clock,
) -> float:
    """Of the validation on ``inputs``."""
    from yolov2.runs.assembly import validation

    score = validation(inputs, device, world)
    assert score is not None, "the val split is there"
    started = clock()
    score(network, lambda text: None)
    return (clock() - started) / len(inputs.tables.images)


def _seconds_of_a_step(steps: Iterator[object], clock: Clock) -> float:
    for _ in range(WARM_UP):
        next(steps, None)
    done, started = 0, clock()
    while done < FEWEST or clock() - started < SECONDS:
        if next(steps, None) is None:  # a tiny training is over
            break
        done += 1
    return (clock() - started) / max(done, 1)


def _only(tables: LabelTables, split: str, count: int) -> LabelTables:
    """Up to ``count`` images of a split, those with objects first."""
    images = tables.images[tables.images["split"] == split]
    order = np.argsort(images["objects"].to_numpy() == 0, kind="stable")
    images = images.iloc[np.sort(order[:count])]
    labels = tables.labels[tables.labels["image_id"].isin(images["image_id"])]
    return LabelTables(images=images, labels=labels, class_names=tables.class_names)


def in_words(seconds: float) -> str:
    """``50 s``, ``12 min``, ``3 h 20 min``, ``2 days 5 h``: no more digits than are known."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    if seconds < 48 * 3600:
        tens = round(seconds / 600)
        hours, minutes = divmod(tens * 10, 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} days {hours} h" if hours else f"{days} days"
