"""The parts of a training put together from its settings."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from yolov2.config.evaluate import EvaluateConfig
from yolov2.data.batches.dataset import DetectionDataset
from yolov2.data.batches.loader import EvaluationLoader, Tell
from yolov2.data.batches.plan import scales
from yolov2.detection.detections import ground_truth
from yolov2.evaluation.score import score_split
from yolov2.network.yolov2 import YOLOv2
from yolov2.runs.inputs import TrainingInputs
from yolov2.training.heap import keep_freed_memory
from yolov2.training.loop import Score, Training
from yolov2.training.loss import yolov2_loss
from yolov2.training.memory import MOST, largest_batch
from yolov2.training.optimise import Optimiser
from yolov2.training.position import Position
from yolov2.training.throughput import Meter, products_per_pixel
from yolov2.training.world import World


def build_training(
    inputs: TrainingInputs, device: torch.device, world: World, at: Mapping[str, Any] | None = None
) -> Training:
    """A training at its beginning: weights from the seed, everything else from the settings.

    ``at`` has the fields of ``Position`` of one that goes on; what it has learnt is still to be
    restored.

    Raises:
        ValueError: the settings do not fit the device or the data.
        TooLittleMemoryError: ``batch_size: auto`` finds that not even one image fits.
    """
    config = inputs.train
    if device.type == "cpu":
        keep_freed_memory()
    score = validation(inputs, device, world)
    dataset = DetectionDataset(
        inputs.tables,
        inputs.root,
        "train",
        inputs.model.image_size,
        augment=config.augment,
        seed=config.seed,
        cache=inputs.machine.cache,
    )
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        network = YOLOv2(len(inputs.tables.class_names), inputs.anchors, inputs.model.width)
    optimiser = Optimiser(network, config, device, world)
    meter = Meter(device, optimiser.precision.dtype, products_per_pixel(network))
    place = Position(**at) if at else _beginning(inputs, optimiser, len(dataset))
    return Training(optimiser, dataset, config, inputs.machine, place, meter, score)


def _beginning(inputs: TrainingInputs, optimiser: Optimiser, images: int) -> Position:
    config, world = inputs.train, optimiser.world.size
    if config.batch_size == "auto":
        side = scales(config.multi_scale, inputs.model.image_size)[-1]
        fitting = auto_batch(optimiser, side, limit=config.nominal_batch or min(images, MOST))
    else:
        fitting = config.batch_size
    nominal = min(config.nominal_batch or fitting, images)
    # the images of a step are shared by the processes, so that their number changes no recipe
    return Position(batch_size=-(-min(fitting, nominal) // world), nominal_batch=nominal)


def auto_batch(optimiser: Optimiser, side: int, *, limit: int) -> int:
    """The most images of ``side`` pixels at a time, up to ``limit``, whose training step fits."""
    network, device = optimiser.network, optimiser.device
    buffers = [buffer.clone() for buffer in network.buffers()]
    network.train()

    def loss(count: int) -> Tensor:
        images = torch.zeros(count, 3, side, side, device=device)
        boxes = torch.tensor([[float(i), 0, 0.5, 0.5, 0.5, 0.5] for i in range(count)])
        with optimiser.precision.autocast():
            raw = network(images.to(memory_format=optimiser.layout))
        return yolov2_loss(raw, boxes.to(device), network.anchors, optimiser.config.loss).total

    try:
        return largest_batch(loss, device, limit=limit)
    finally:
        for buffer, before in zip(network.buffers(), buffers, strict=True):
            buffer.copy_(before)
        optimiser.optimizer.zero_grad(set_to_none=True)


def validation(inputs: TrainingInputs, device: torch.device, world: World) -> Score | None:
    """How the network is scored while it trains; ``None`` where the data has no val split.

    Every process detects on its part of the images, rank 0 scores, all get the result.
    """
    if not (inputs.tables.images["split"] == "val").any():
        return None
    ground_truth(inputs.tables, "val")  # a val split without a box fails now, not an epoch later
    # the reporting thresholds, whatever `evaluate` says: changing those must not retrain
    config = EvaluateConfig(split="val")
    dataset = DetectionDataset(inputs.tables, inputs.root, "val", inputs.model.image_size)

    def score(network: YOLOv2, tell: Tell) -> Mapping[str, float]:
        loader = EvaluationLoader(
            dataset,
            batch_size=config.batch_size,
            num_workers=inputs.machine.num_workers,
            rank=world.rank,
            world=world.size,
            tell=tell,
        )
        return score_split(network, loader, inputs.tables, "val", config, device, world, tell)

    return score
