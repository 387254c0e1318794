"""Plots of an evaluation: precision-recall curves and the confusion matrix."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yolov2.detection.draw import class_colour
from yolov2.detection.matching import MATCH_IOU, MATCH_SCORE

NAMED_CLASSES = 20
"""With more classes only the worst of them get a name and a colour in the curves."""


def save_pr_plot(
    curves: pd.DataFrame,
    per_class: Mapping[str, Mapping[str, float]],
    class_names: Sequence[str],
    path: Path,
) -> None:
    """Precision over recall at IoU 0.5: a line for each class and their mean, as a PNG.

    ``curves`` has columns recall, mean, then one for each class of ``per_class`` in its order.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 5.5), layout="constrained")
    axes = figure.add_subplot()
    ap50 = {name: values["AP50"] for name, values in per_class.items()}
    named = set(sorted(ap50, key=lambda name: ap50[name])[:NAMED_CLASSES])
    for name, column in zip(per_class, curves.columns[2:], strict=True):
        style: dict[str, Any] = {"color": "0.8", "linewidth": 0.7}
        if name in named:
            colour = tuple(part / 255 for part in class_colour(list(class_names).index(name)))
            style = {"color": colour, "linewidth": 1.4, "label": f"{ap50[name]:.3f}  {_text(name)}"}
        axes.plot(curves["recall"], curves[column], **style)
    mean = sum(ap50.values()) / len(ap50)
    axes.plot(
        curves["recall"], curves["mean"], color="black", linewidth=2.5, label=f"{mean:.3f}  mean"
    )
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axes.set_title("Precision over recall at IoU 0.5")
    axes.grid(color="0.92")
    title = "AP50" if len(named) == len(ap50) else f"AP50, the {len(named)} lowest"
    figure.legend(loc="outside right upper", title=title, fontsize=9, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def save_confusion_plot(counts: NDArray[np.int64], class_names: Sequence[str], path: Path) -> None:
    """The confusion matrix (C+1, C+1), background last, as a PNG: colours are shares of a row."""
    from matplotlib.figure import Figure

    names = [*(_text(name) for name in class_names), "background"]
    side = min(20.0, 3.5 + 0.45 * len(names))
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.add_subplot()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the row", shrink=0.8)
    small = 9 if len(names) <= NAMED_CLASSES + 1 else 7
    ticks = np.arange(len(names))
    axes.set_xticks(ticks, names, rotation=45 if max(map(len, names)) > 2 else 0, fontsize=small)
    if max(map(len, names)) > 2:
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, names, fontsize=small)
    if len(names) <= NAMED_CLASSES + 1:
        for row, column in np.argwhere(counts > 0):
            ink = "white" if share[row, column] > 0.6 else "black"
            text = str(counts[row, column])
            axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=small)
    axes.set(xlabel="predicted", ylabel="actual")
    axes.set_title(f"Confusion at score > {MATCH_SCORE:g}, IoU ≥ {MATCH_IOU:g}")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def _text(name: str) -> str:
    """A class name as plain text: matplotlib reads what stands between dollars as mathematics."""
    return name.replace("$", r"\$")
