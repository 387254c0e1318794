"""What a training tells as it goes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from yolov2.training.throughput import Throughput

TERMS = ("loss", "coord", "objectness", "class")
"""The losses of a report: means per image, by these names."""


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """After each optimiser step; ``row`` at every ``log_every``-th, means since the last one.

    ``step`` is the number of optimiser steps so far.
    """

    step: int
    row: Mapping[str, float] | None


@dataclass(frozen=True, kw_only=True)
class EpochReport:
    """What one epoch gave. ``losses`` are means per image, by the names in ``TERMS``.

    ``epoch`` counts from 1, ``step`` is the number of optimiser steps so far, ``collisions`` the
    boxes of this epoch that lost their slot to another box. ``validation`` holds the metrics of
    the validation split (AP, AP50, ...) where this epoch was validated. ``is_best`` says that
    the network is the best so far: by AP, or without validation simply the newest.
    ``throughput`` is of what was trained since the epoch began or was taken up again.
    """

    epoch: int
    epochs: int
    step: int
    lr: float
    losses: Mapping[str, float]
    throughput: Throughput
    seconds: float
    collisions: int
    validation: Mapping[str, float] | None
    is_best: bool

    def history_row(self) -> dict[str, Any]:
        """The figures that are the same on every run of the epoch: no times, no speeds."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "lr": self.lr,
            **self.losses,
            "collisions": self.collisions,
            **(self.validation or {}),
        }

    def speed_row(self) -> dict[str, Any]:
        """The figures that ``history_row`` leaves out."""
        return {"epoch": self.epoch, "seconds": self.seconds, **asdict(self.throughput)}


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something that people should know: the text says what happened and what was done."""

    text: str
    step: int


@dataclass(frozen=True, kw_only=True)
class Saved:
    """All up to this step is on disk: history, checkpoint. Figures may now be passed on."""

    step: int


Event = StepReport | EpochReport | Notice | Saved


def epoch_line(report: EpochReport) -> str:
    """One line for people: where the training stands."""
    losses = "  ".join(f"{name} {value:.3f}" for name, value in report.losses.items())
    speed = report.throughput
    line = f"epoch {report.epoch}/{report.epochs}  {losses}  {speed.images_per_second:.1f} img/s"
    if speed.data_wait >= 0.05:
        line += f"  {speed.data_wait:.0%} of the time waiting for images"
    if speed.memory_gib:
        line += f"  {speed.memory_gib:.1f} GiB"
    if report.collisions:
        line += f"  {report.collisions} boxes lost their slot"
    if report.validation is not None:
        best = " (best)" if report.is_best else ""
        line += f"  val AP {report.validation['AP']:.3f} AP50 {report.validation['AP50']:.3f}{best}"
    return line
