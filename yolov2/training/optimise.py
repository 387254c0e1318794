"""One optimiser step: forward, loss, backward over its batches, then the weights move.

Letters of the shapes: B images of a batch, S side of the canvas in pixels.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, get_total_norm

from yolov2.config.train import TrainConfig
from yolov2.data.batches.colour import augment_batch
from yolov2.data.batches.dataset import Batch
from yolov2.data.batches.plan import MicroBatch
from yolov2.network.yolov2 import YOLOv2
from yolov2.termination import undisturbed
from yolov2.training.ema import average_of
from yolov2.training.loss import yolov2_loss
from yolov2.training.nonfinite import NonFiniteLossError, explain, largest_activations, magnitude
from yolov2.training.position import SUMS
from yolov2.training.precision import Precision
from yolov2.training.reports import TERMS
from yolov2.training.schedule import build_optimizer
from yolov2.training.world import World


@dataclass(frozen=True, kw_only=True)
class About:
    """What an error says of a step: epoch and step from 1, image files by image id."""

    epoch: int
    step: int
    names: Mapping[int, str]


class Optimiser:
    """The network with all that moves its weights.

    Args:
        network: trained in place, on ``device``.
        config: the recipe.
        device: where to compute.
        world: the processes that share each step.
    """

    def __init__(
        self, network: YOLOv2, config: TrainConfig, device: torch.device, world: World
    ) -> None:
        self.config, self.device, self.world = config, device, world
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        self.layout = layout
        self.synchronised = config.sync_batch_norm and world.size > 1
        if self.synchronised:
            network = world.synchronised(network, device)
        self.network = network.to(device, memory_format=layout)  # type: ignore[call-overload]
        self.precision = Precision(config, device)
        self.optimizer = build_optimizer(self.network, config)
        self.ema = average_of(self.network, config.ema_decay) if config.ema_decay > 0 else None
        self.model: Callable[[Tensor], Tensor] = self.network
        if world.size > 1:
            self.model = world.averaging(self.network, device)
        self.uncompiled = self.model  # for batches of no images, which no compiler knows
        if config.compile:
            self.model = torch.compile(self.model)
        self.whole = True  # False while weights and position may disagree
        self._buffers: list[Tensor] = []

    @property
    def evaluated(self) -> YOLOv2:
        """The network that is validated and kept: the averaged one, if there is one."""
        averaged: YOLOv2 | None = None if self.ema is None else self.ema.module  # type: ignore[assignment]
        return self.network if averaged is None else averaged

    def step(
        self,
        shares: Iterable[tuple[MicroBatch, Batch]],
        images: int,
        *,
        lr: float,
        done: Callable[[list[float]], None],
        about: About,
    ) -> None:
        """Learn from ``images`` images, of which ``shares`` are this process's.

        ``done`` gets the sums over all processes, by the names in ``SUMS``. Before the weights
        move nothing is changed that ``rewind`` does not bring back; from then until ``done``
        has returned no signal is taken, so that weights and position always agree.

        Raises:
            NonFiniteLossError: loss or gradient is not finite; the weights have not moved.
        """
        self._buffers = [buffer.clone() for buffer in self.network.buffers()]
        sums = torch.zeros(len(SUMS), dtype=torch.float64, device=self.device)
        batches = []
        for micro, batch in shares:
            batches.append(batch)
            sums += self._backward(batch, micro, images)
        self.world.sum(sums)
        self.precision.scaler.unscale_(self.optimizer)
        norm = self._clip()
        # an infinite gradient of a scaled float16 loss is for the scaler to skip
        scaled = self.precision.scaler.is_enabled()
        if not torch.isfinite(sums[0] if scaled else sums[0] + norm):
            raise NonFiniteLossError(self._explain(batches, sums, float(norm), about))
        with undisturbed():
            self.whole = False
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            self.precision.scaler.step(self.optimizer)
            self.precision.scaler.update()
            self.optimizer.zero_grad(set_to_none=True)
            if self.ema is not None:
                self.ema.update_parameters(self.network)
            self._buffers = []
            done(sums.tolist())
            self.whole = True

    def rewind(self) -> None:
        """Undo what an unfinished step has changed: running statistics and gradients."""
        for buffer, before in zip(self.network.buffers(), self._buffers, strict=False):
            buffer.copy_(before)
        self._buffers = []
        self.optimizer.zero_grad(set_to_none=True)

    def forward(self, batch: Batch, model: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Raw predictions (B, A, H, W, 5+C) of a batch, by ``model`` or the trained one.

        A batch of no images counts nothing. It moves no statistics; where they are of all
        processes it takes part in the exchange.
        """
        is_empty = len(batch.images) == 0
        self.network.train(self.synchronised or not is_empty)
        images = batch.images.to(self.device, non_blocking=True)  # uint8 (B, 3, S, S)
        if self.config.augment.augment_on == "device":
            images = augment_batch(images, batch.changes)
        else:
            images = images.to(torch.float32) / 255
        images = images.contiguous(memory_format=self.layout)
        # in float32, whatever the others': SyncBatchNorm sends what it found in an empty batch in
        # the batch's own format, in any other in float32, and all must send the same
        with nullcontext() if is_empty else self.precision.autocast():
            return (model or (self.uncompiled if is_empty else self.model))(images)

    def _backward(self, batch: Batch, micro: MicroBatch, images: int) -> Tensor:
        """Add the gradient of a batch; its share (6,) of the step's sums."""
        # gradients are averaged over the processes, so each divides by its part of the images
        normaliser = images / self.world.size
        apart = self.world.size > 1 and not micro.is_last
        with self.model.no_sync() if apart else nullcontext():  # type: ignore[attr-defined]
            raw = self.forward(batch)
            targets = batch.targets.to(self.device, non_blocking=True)
            loss = yolov2_loss(
                raw, targets, self.network.anchors, self.config.loss, normaliser=normaliser
            )
            self.precision.scaler.scale(loss.total).backward()
        terms = torch.stack((loss.total.detach(), loss.coord, loss.objectness, loss.classes))
        counts = torch.stack((loss.collisions, loss.collisions.new_tensor(len(batch.images))))
        return torch.cat((terms.double() * normaliser, counts.double()))

    def _clip(self) -> Tensor:
        """Clip the gradient; its norm before."""
        parameters = [p for p in self.network.parameters() if p.grad is not None]
        if self.config.clip_norm > 0:
            return clip_grad_norm_(parameters, self.config.clip_norm)
        return get_total_norm([p.grad for p in parameters if p.grad is not None])

    def _explain(self, batches: list[Batch], sums: Tensor, norm: float, about: About) -> str:
        terms = dict(zip(TERMS, (sums[: len(TERMS)] / sums[-1]).tolist(), strict=True))
        layers = [
            largest_activations(self.network, partial(self.forward, batch, self.network))
            for batch in batches
        ]
        return explain(
            epoch=about.epoch,
            step=about.step,
            terms=terms,
            gradient_norm=norm,
            activations=max(layers, key=lambda each: magnitude(each[0])),
            images=[about.names[image_id] for batch in batches for image_id in batch.image_ids],
        )

    def state(self) -> dict[str, Any]:
        """What ``restore`` needs beside the weights of ``evaluated``."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.precision.scaler.state_dict(),
            "weights": None if self.ema is None else self.network.state_dict(),
            "averaged": 0 if self.ema is None else int(self.ema.n_averaged),
        }

    def restore(self, state: Mapping[str, Any], model: Mapping[str, Any]) -> None:
        """Go on from ``state``; ``model`` are the weights of ``evaluated``."""
        self.network.load_state_dict(state["weights"] or model)
        if self.ema is not None:
            self.ema.module.load_state_dict(model)
            self.ema.n_averaged.fill_(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.precision.scaler.load_state_dict(state["scaler"])
        self.optimizer.zero_grad(set_to_none=True)
