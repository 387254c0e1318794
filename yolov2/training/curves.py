"""Plot of a training: losses, validation AP and learning rate over the epochs."""

from pathlib import Path
from typing import Any

import pandas as pd

LOSSES = {
    "loss": ("total", "black"),
    "coord": ("coordinates", "#1f77b4"),
    "objectness": ("objectness", "#ff7f0e"),
    "class": ("class", "#2ca02c"),
}
SCORES = {"AP50": ("AP50", "#9467bd"), "AP": ("AP (IoU 0.5 to 0.95)", "#d62728")}


def plot_training_curves(history: pd.DataFrame, path: Path) -> None:
    """Write ``history`` as a PNG with a panel each for losses, validation and learning rate.

    ``history`` has a row an epoch with the columns epoch, lr, loss, coord, objectness, class
    and, where there is a validation split, AP and AP50; an epoch without validation has NaN.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(15, 4.2), layout="constrained")
    losses, scores, rate = figure.subplots(1, 3, sharex=True)
    _lines(losses, history, LOSSES)
    losses.set(title="Training loss per image", yscale="log")
    _lines(scores, history, SCORES)
    scores.set(title="Validation average precision", ylim=(0, 1))
    rate.plot(history["epoch"], history["lr"], color="0.3", marker=".")
    rate.set(title="Learning rate", yscale="log")
    for axes in (losses, scores, rate):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(color="0.92")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _lines(axes: Any, history: pd.DataFrame, columns: dict[str, tuple[str, str]]) -> None:
    """Draw the measured values of those columns that exist, with a legend."""
    drawn = False
    for column, (label, colour) in columns.items():
        if column not in history or history[column].isna().all():
            continue
        measured = history[["epoch", column]].dropna()
        axes.plot(measured["epoch"], measured[column], color=colour, marker=".", label=label)
        drawn = True
    if drawn:
        axes.legend(frameon=False)
    else:
        axes.text(0.5, 0.5, "not measured", ha="center", color="0.5", transform=axes.transAxes)
