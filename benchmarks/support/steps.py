"""A batch to train with, and a training step of ours on it.

Letters of the shapes: B images, T boxes of the batch, S side of the canvas in pixels.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from yolov2.config.model import DEFAULT_ANCHORS
from yolov2.config.train import TrainConfig
from yolov2.data.batches.colour import Changes, stack_changes
from yolov2.data.batches.dataset import Batch
from yolov2.data.batches.plan import MicroBatch
from yolov2.network.yolov2 import YOLOv2
from yolov2.training.optimise import About, Optimiser
from yolov2.training.world import World


def some_targets(images: int, boxes: int, classes: int, generator: torch.Generator) -> Tensor:
    """Boxes (T, 6) as a ``Batch`` has them, ``boxes`` of each image."""
    targets = torch.rand(images * boxes, 6, generator=generator)
    targets[:, 0] = torch.arange(images).repeat_interleave(boxes)
    targets[:, 1] = torch.randint(0, classes, (len(targets),), generator=generator)
    targets[:, 4:6] = 0.02 + 0.4 * targets[:, 4:6]
    return targets


def some_batch(images: int, side: int, boxes: int, classes: int) -> Batch:
    """Noise with boxes; the same for the same sizes."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (images, 3, side, side), dtype=torch.uint8, generator=generator)
    targets = some_targets(images, boxes, classes, generator)
    return Batch(
        images=noise,
        targets=targets,
        image_ids=list(range(images)),
        letterboxes=[],
        changes=stack_changes([Changes()] * images),
    )


def training_step(
    batch: Batch, classes: int, *, width: float = 1.0, amp: Literal["bf16", "off"] = "off"
) -> Callable[[], None]:
    """A step on the CPU as ``yolov2 train`` makes it, once each time it is called."""
    torch.manual_seed(0)
    config = TrainConfig(amp=amp)
    network = YOLOv2(classes, DEFAULT_ANCHORS, width=width)
    optimiser = Optimiser(network, config, torch.device("cpu"), World())
    share = MicroBatch(draws=(), is_last=True)
    about = About(epoch=1, step=1, names={})

    def step() -> None:
        optimiser.step(
            [(share, batch)], len(batch.images), lr=1e-6, done=lambda _: None, about=about
        )

    return step
