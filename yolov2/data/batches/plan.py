"""Which images each optimiser step of a training learns from, and at which size.

All of it follows from the seed and the step's place, never from what was drawn before, so that
a training can be taken up at any step, with another number of processes or of images at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from yolov2.config.model import STRIDE
from yolov2.config.train import MultiScaleConfig, TrainConfig
from yolov2.data.batches.draw import Draw, draw_partners


@dataclass(frozen=True, kw_only=True)
class Step:
    """The images of one optimiser step, over all processes.

    ``index`` counts the steps of the whole training from 0, ``position`` the images of the
    epoch before this step.
    """

    index: int
    epoch: int
    position: int
    draws: tuple[Draw, ...]


@dataclass(frozen=True, kw_only=True)
class MicroBatch:
    """Images computed at a time: a part of a step's share of one process, which may be empty."""

    draws: tuple[Draw, ...]
    is_last: bool


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The steps of a training.

    Args:
        size: number of training images.
        nominal_batch: images of an optimiser step; the last of an epoch may have fewer.
        sides: the input sizes to draw from, in pixels.
        base_side: the size without multi-scale.
        config: the recipe.
    """

    size: int
    nominal_batch: int
    sides: tuple[int, ...]
    base_side: int
    config: TrainConfig

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of an epoch."""
        return self.steps_left(0)

    def steps_left(self, position: int) -> int:
        """Optimiser steps of an epoch from ``position`` on."""
        return -(-(self.size - position) // self.nominal_batch)

    def steps(self, epoch: int, position: int = 0) -> Iterator[Step]:
        """The steps of the training from ``position`` of ``epoch`` on, to its last epoch."""
        for each in range(epoch, self.config.epochs):
            yield from self.epoch(each, position if each == epoch else 0)

    def epoch(self, epoch: int, position: int = 0) -> Iterator[Step]:
        """The steps of one epoch, from ``position`` on."""
        order = np.random.default_rng((self.config.seed, epoch)).permutation(self.size)
        for first in range(position, self.size, self.nominal_batch):
            yield self._step(epoch, first, order[first : first + self.nominal_batch].tolist())

    def _step(self, epoch: int, first: int, chosen: list[int]) -> Step:
        index = epoch * self.steps_per_epoch + first // self.nominal_batch
        # a trailing 1, because to NumPy seeds are equal that differ by trailing zeros only
        rng = np.random.default_rng((self.config.seed, epoch, first, 1))
        partners = draw_partners(chosen, self.size, rng)
        side = self._side(index)
        closing = epoch >= self.config.epochs - self.config.augment.mosaic_off_epochs
        return Step(
            index=index,
            epoch=epoch,
            position=first,
            draws=tuple(
                Draw(epoch, position, four, side, closing)
                for position, four in zip(chosen, partners, strict=True)
            ),
        )

    def _side(self, index: int) -> int:
        every = self.config.multi_scale.every
        if every == 0 or len(self.sides) == 1:
            return self.base_side
        rng = np.random.default_rng((self.config.seed, index // every, 0, 2))
        return int(rng.choice(self.sides))


def first_draws(size: int, base_side: int, config: TrainConfig, count: int) -> list[Draw]:
    """The first images of a training, at ``base_side``: what a preview shows."""
    plan = Plan(
        size=size,
        nominal_batch=min(size, count),
        sides=(base_side,),
        base_side=base_side,
        config=config,
    )
    return list(next(plan.steps(0)).draws)


def scales(config: MultiScaleConfig, base_side: int) -> tuple[int, ...]:
    """The input sizes of multi-scale training, rising multiples of 32 pixels."""
    if config.every == 0:
        return (base_side,)
    low = max(2, round(config.smallest * base_side / STRIDE))
    high = max(low, round(config.largest * base_side / STRIDE))
    return tuple(STRIDE * cells for cells in range(low, high + 1))


def training_plan(size: int, nominal_batch: int, base_side: int, config: TrainConfig) -> Plan:
    """The plan of a training on ``size`` images, with the sizes that ``config`` draws from."""
    return Plan(
        size=size,
        nominal_batch=nominal_batch,
        sides=scales(config.multi_scale, base_side),
        base_side=base_side,
        config=config,
    )


def micro_batches(
    step: Step, batch_size: int, *, rank: int = 0, world: int = 1
) -> list[MicroBatch]:
    """The share of process ``rank`` of ``world`` in a step, at most ``batch_size`` at a time.

    The shares of all processes make up the step. All have as many parts as the largest share
    needs, since they may exchange something in each: what is missing is an empty part.
    """
    share, largest = step.draws[rank::world], len(step.draws[::world])
    count = -(-largest // batch_size)
    bounds = [round(i * len(share) / count) for i in range(count + 1)]
    return [
        MicroBatch(draws=share[low:high], is_last=part == count)
        for part, (low, high) in enumerate(pairwise(bounds), start=1)
    ]
