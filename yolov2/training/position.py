"""Where a training stands."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from yolov2.training.reports import TERMS

SUMS = (*TERMS, "collisions", "images")
"""What is added up over the images of a step, a window of the log and an epoch."""


def _zeros() -> list[float]:
    return [0.0] * len(SUMS)


@dataclass(kw_only=True)
class Position:
    """Where a training stands, all of it plain values.

    ``position`` counts the images of this epoch that were learnt from, ``step`` all optimiser
    steps. ``batch_size`` may have been halved, ``lr_factor`` lowered by ``rollbacks``.
    ``sums`` are of the epoch, ``window`` since the last row of the log, by ``SUMS``.
    """

    batch_size: int
    nominal_batch: int
    epoch: int = 0
    position: int = 0
    step: int = 0
    best: float = float("-inf")
    best_epoch: int = 0
    lr_factor: float = 1.0
    rollbacks: int = 0
    stopped: bool = False
    sums: list[float] = field(default_factory=_zeros)
    window: list[float] = field(default_factory=_zeros)

    def advance(self, images: int, sums: Sequence[float]) -> None:
        """One optimiser step further, which learnt from ``images`` images."""
        self.step += 1
        self.position += images
        self.sums = [old + new for old, new in zip(self.sums, sums, strict=True)]
        self.window = [old + new for old, new in zip(self.window, sums, strict=True)]

    def rolled_back(self, most: int) -> str:
        """The rollback that led here, as a sentence."""
        return (
            f"Rolled back to step {self.step} with the learning rate times {self.lr_factor:g}"
            f" (rollback {self.rollbacks} of at most {most})"
        )

    def log_row(self, lr: float, steps_per_epoch: int) -> dict[str, float]:
        """Step, epoch, learning rate, and the mean losses an image since the last row."""
        *totals, _, images = self.window
        self.window = _zeros()
        losses = {name: total / images for name, total in zip(TERMS, totals, strict=True)}
        return {"step": self.step, "epoch": self.step / steps_per_epoch, "lr": lr, **losses}

    def close_epoch(self, average_precision: float | None) -> tuple[dict[str, float], int, bool]:
        """The next epoch begins; mean losses an image, collisions, and whether the AP is a best."""
        *totals, collisions, images = self.sums
        self.epoch, self.position, self.sums = self.epoch + 1, 0, _zeros()
        is_best = average_precision is not None and average_precision > self.best
        if is_best and average_precision is not None:
            self.best, self.best_epoch = average_precision, self.epoch
        losses = {name: total / images for name, total in zip(TERMS, totals, strict=True)}
        return losses, int(collisions), is_best
