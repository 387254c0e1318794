"""The training loop: a generator of epoch reports."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from yolov2.data.dataset import Batch, DetectionDataset, EpochSampler, training_loader
from yolov2.network.device import has_bfloat16
from yolov2.network.yolov2 import YOLOv2
from yolov2.train_config import TrainConfig
from yolov2.training.loss import Loss, yolov2_loss
from yolov2.training.schedule import build_optimizer, learning_rate

TERMS = ("loss", "coord", "objectness", "class")


class NonFiniteLossError(ValueError):
    """The loss became NaN or infinite; the text names the step and the images of the batch."""


class Progress(Protocol):
    """Wraps the batches of an epoch, to show a bar; ``tqdm`` has this form."""

    def __call__(self, batches: Iterable[Batch], /, *, desc: str) -> Iterable[Batch]:
        """The same batches, with a bar headed ``desc``."""


def silent(batches: Iterable[Batch], /, *, desc: str) -> Iterable[Batch]:
    """No progress bar."""
    return batches


@dataclass(frozen=True, kw_only=True)
class EpochReport:
    """What one epoch gave. ``losses`` are means per image, by the names in ``TERMS``.

    ``epoch`` counts from 1, ``step`` is the number of optimiser steps so far, ``collisions`` the
    boxes of this epoch that lost their slot to another box. ``validation`` holds the metrics of
    the validation split (AP, AP50, ...) where this epoch was validated. ``is_best`` says that
    the network is the best so far: by AP, or without validation simply the newest.
    """

    epoch: int
    epochs: int
    step: int
    lr: float
    losses: Mapping[str, float]
    images_per_second: float
    seconds: float
    collisions: int
    validation: Mapping[str, float] | None
    is_best: bool


class Training:
    """A training in progress: network, optimiser, position.

    Args:
        network: trained in place, on ``device``.
        dataset: the training images; its order and augmentation follow from ``config.seed``.
        config: the recipe.
        device: where to compute.
        score: metrics of the network on the validation split (with ``AP``), or ``None``.
    """

    def __init__(
        self,
        network: YOLOv2,
        dataset: DetectionDataset,
        config: TrainConfig,
        *,
        device: torch.device,
        score: Callable[[YOLOv2], Mapping[str, float]] | None = None,
    ) -> None:
        self.network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.dataset = dataset
        self.config = config
        self.device = device
        self.score = score
        self.bfloat16 = config.amp == "bf16" or (config.amp == "auto" and has_bfloat16(device))
        self.optimizer = build_optimizer(network, config)
        self.epoch = 0
        self.best = float("-inf")
        self.sampler = EpochSampler(len(dataset), config.seed)
        self.loader = training_loader(
            dataset, self.sampler, batch_size=config.batch_size, num_workers=config.num_workers
        )

    def state(self) -> dict[str, Any]:
        """What ``restore`` needs, beside the network's weights, to go on exactly."""
        return {"epoch": self.epoch, "best": self.best, "optimizer": self.optimizer.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on after the epoch at which ``state`` was taken; the weights are loaded before."""
        self.epoch = state["epoch"]
        self.best = state["best"]
        self.optimizer.load_state_dict(state["optimizer"])

    def epochs(self, progress: Progress = silent) -> Iterator[EpochReport]:
        """Train what is left of the epochs; a report after each.

        Raises:
            NonFiniteLossError: the loss of a batch is NaN or infinite.
        """
        while self.epoch < self.config.epochs:
            started = time.perf_counter()
            sums = self._one_epoch(progress)
            trained = time.perf_counter() - started
            self.epoch += 1
            validation = self._validate()
            is_best = self.score is None
            if validation is not None and validation["AP"] >= self.best:
                self.best, is_best = validation["AP"], True
            *losses, collisions = sums.tolist()
            images = len(self.dataset)
            yield EpochReport(
                epoch=self.epoch,
                epochs=self.config.epochs,
                step=self.epoch * len(self.loader),
                lr=self.optimizer.param_groups[0]["lr"],
                losses=dict(zip(TERMS, (value / images for value in losses), strict=True)),
                images_per_second=images / trained,
                seconds=time.perf_counter() - started,
                collisions=int(collisions),
                validation=validation,
                is_best=is_best,
            )

    def _one_epoch(self, progress: Progress) -> Tensor:
        """Sums over the epoch's images (5,): the four losses of ``TERMS``, then collisions."""
        self.network.train()
        self.sampler.epoch = self.epoch
        sums = torch.zeros(5, dtype=torch.float64, device=self.device)
        step = self.epoch * len(self.loader)
        description = f"epoch {self.epoch + 1}/{self.config.epochs}"
        for batch in progress(self.loader, desc=description):
            rate = learning_rate(self.config, step, len(self.loader))
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            loss = self._one_step(batch, step)
            terms = torch.stack((loss.total.detach(), loss.coord, loss.objectness, loss.classes))
            sums[:4] += terms * len(batch.images)
            sums[4] += loss.collisions
            step += 1
        return sums

    def _one_step(self, batch: Batch, step: int) -> Loss:
        images = batch.images.to(self.device, non_blocking=True)
        images = images.to(torch.float32, memory_format=torch.channels_last) / 255
        targets = batch.targets.to(self.device, non_blocking=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            raw = self.network(images)
        loss = yolov2_loss(raw, targets, self.network.anchors, self.config.loss)
        if not torch.isfinite(loss.total):
            raise NonFiniteLossError(self._explain(batch, loss, step))
        self.optimizer.zero_grad(set_to_none=True)
        loss.total.backward()
        if self.config.clip_norm > 0:
            clip_grad_norm_(self.network.parameters(), self.config.clip_norm)
        self.optimizer.step()
        return loss

    def _explain(self, batch: Batch, loss: Loss, step: int) -> str:
        paths = dict(zip(self.dataset.image_ids, self.dataset.paths, strict=True))
        names = ", ".join(paths[image_id] for image_id in batch.image_ids)
        return (
            f"the loss became {loss.total.item()} in epoch {self.epoch + 1}, step {step + 1}"
            f" (coord {loss.coord.item():g}, objectness {loss.objectness.item():g}, class"
            f" {loss.classes.item():g}); lower train.lr or raise train.warmup_epochs, and look at"
            f" the boxes of the batch's images: {names}"
        )

    def _validate(self) -> Mapping[str, float] | None:
        due = self.epoch % self.config.validate_every == 0 or self.epoch == self.config.epochs
        if self.score is None or not due:
            return None
        self.network.eval()
        with torch.no_grad():
            return self.score(self.network)
