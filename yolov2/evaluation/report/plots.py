"""Plots of an evaluation that are no curves: confusion, reliability, errors, sizes, slices."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yolov2.evaluation.figures import SIZES
from yolov2.evaluation.report.style import (
    NAMED_CLASSES,
    NEUTRAL,
    new_figure,
    plain_text,
    rgb,
    save,
    say_nothing,
)
from yolov2.evaluation.rows import BACKGROUND, CALIBRATION_SCORE, MATCH_IOU, MATCH_SCORE

SIZE_ROWS = 40
"""At most so many classes, those of the lowest AP, have a row in the plot of sizes."""

MARKERS = {"small": "o", "medium": "s", "large": "^"}


def save_confusion_plot(counts: NDArray[np.int64], class_names: Sequence[str], path: Path) -> None:
    """The confusion matrix (C+1, C+1), background last, as a PNG: colours are shares of a row."""
    names = [*(plain_text(name) for name in class_names), BACKGROUND]
    side = min(20.0, 3.5 + 0.45 * len(names))
    figure = new_figure(side + 1, side)
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
    save(figure, path)


def save_reliability_plot(bins: pd.DataFrame, ece: float, path: Path) -> None:
    """Share of right detections for each tenth of the scores, beside the diagonal, as a PNG.

    ``bins`` and the expected error ``ece`` are those of ``Calibration``.
    """
    figure = new_figure(6.5, 5.5)
    axes = figure.add_subplot()
    bins = bins[bins["detections"] > 0]
    if bins.empty:
        say_nothing(axes, f"no detection has a score above {CALIBRATION_SCORE:g}")
        save(figure, path)
        return
    middle = (bins["low"] + bins["high"]) / 2
    axes.bar(middle, bins["precision"], width=0.09, color="#b9c9de", edgecolor=NEUTRAL)
    axes.plot([0, 1], [0, 1], "--", color="0.4", label="calibrated")
    axes.plot(bins["confidence"], bins["precision"], "o-", color="black", label="this model")
    for x, y in zip(middle, bins["precision"], strict=True):
        axes.text(x, min(y + 0.03, 1.03), f"{y:.2f}", ha="center", va="bottom", fontsize=8)
    columns = (bins["low"], bins["high"], bins["detections"])
    labels = [f"{low:.1f} - {high:.1f}\n{n:,}" for low, high, n in zip(*columns, strict=True)]
    axes.set_xticks(middle, labels, fontsize=8)
    axes.set(xlim=(0, 1), ylim=(0, 1.1), ylabel="share of right detections")
    axes.set_xlabel("score, and number of detections")
    axes.set_title(f"Reliability: expected calibration error {ece:.3f}")
    axes.legend(loc="upper left", frameon=False)
    text = f"IoU ≥ 0.5, detections with a score above {CALIBRATION_SCORE:g}"
    figure.supxlabel(text, fontsize=8, color="0.35")
    save(figure, path)


def save_errors_plot(errors: pd.DataFrame, path: Path) -> None:
    """What mending each type of error would gain in AP50, as a PNG."""
    figure = new_figure(8.5, 3.6)
    axes = figure.add_subplot()
    rows = np.arange(len(errors))[::-1]
    axes.barh(rows, errors["AP50"], color=NEUTRAL, height=0.65)
    axes.set_yticks(rows, errors["error"])
    top = max(float(errors["AP50"].max()), 0.01)
    columns = (rows, errors["AP50"].to_numpy(float), errors["count"], errors["meaning"])
    for row, gain, count, meaning in zip(*columns, strict=True):
        text = f"{gain:.3f}   {count:,}: {meaning}"
        axes.text(gain + top * 0.015, row, text, va="center", fontsize=9)
    axes.set(xlim=(0, top * 1.75), xlabel="AP50 gained if all errors of the type were mended")
    axes.set_title("Error types (TIDE)")
    axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def save_sizes_plot(sizes: pd.DataFrame, class_names: Sequence[str], path: Path) -> None:
    """AP by object size: bars over all classes, marks for each class, as a PNG.

    ``sizes`` has a row a size and columns ``size``, ``mean``, then one for each class with
    objects; NaN where there is no object of the size.
    """
    worst = sizes.iloc[:, 2:].mean().sort_values().index[:SIZE_ROWS]
    shown = [name for name in sizes.columns[2:] if name in set(worst)]
    height = 2.2 + 0.28 * max(len(shown), 5)
    figure = new_figure(11, height)
    bars, marks = figure.subplots(1, 2, width_ratios=(1, 2))
    places = np.arange(len(SIZES))
    bars.bar(places, sizes["mean"].fillna(0), color=NEUTRAL, width=0.65)
    for place, value in zip(places, sizes["mean"], strict=True):
        text = "no\nobject" if np.isnan(value) else f"{value:.3f}"
        bars.text(place, 0 if np.isnan(value) else value, text, ha="center", va="bottom")
    bars.set_xticks(places, ["small\n< 32²", "medium\n< 96²", "large\n≥ 96²"])
    top = max(float(np.nanmax(sizes.iloc[:, 1:].to_numpy(float), initial=0)) * 1.15, 0.1)
    bars.set(ylim=(0, top), ylabel="AP", title="All classes")
    rows = np.arange(len(shown))[::-1]
    for row, name in zip(rows, shown, strict=True):
        colour = rgb(_class_id(name, class_names))
        marks.plot(sizes[name], [row] * len(SIZES), "-", color="0.75", lw=1, zorder=1)
        for value, size in zip(sizes[name], SIZES, strict=True):
            marks.plot(value, row, MARKERS[size], color=colour, ms=8, mec="black", mew=0.5)
    marks.set_yticks(rows, [plain_text(name) for name in shown])
    marks.set(xlim=(-0.01, top), ylim=(-0.6, max(len(shown), 1) - 0.4), xlabel="AP")
    rest = len(sizes.columns) - 2 - len(shown)
    marks.set_title("By class" if rest == 0 else f"By class, the {len(shown)} lowest")
    for size in SIZES:
        marks.plot([], [], MARKERS[size], color="0.5", mec="black", mew=0.5, ms=8, label=size)
    figure.legend(loc="outside lower right", ncols=3, frameon=False)
    marks.grid(axis="x", color="0.92")
    save(figure, path)


def save_slices_plot(slices: pd.DataFrame, path: Path) -> None:
    """AP and AP50 of parts of the images, a group of bars for each property, as a PNG."""
    groups = list(slices.groupby("property", sort=False))
    figure = new_figure(9, 1.2 + 0.55 * len(slices) + 0.5 * len(groups))
    panels = figure.subplots(
        len(groups), 1, squeeze=False, sharex=True, height_ratios=[len(part) for _, part in groups]
    )[:, 0]
    for axes, (name, part) in zip(panels, groups, strict=True):
        rows = np.arange(len(part))[::-1]
        axes.barh(rows + 0.19, part["AP50"].fillna(0), 0.36, color="#b9c9de", label="AP50")
        axes.barh(rows - 0.19, part["AP"].fillna(0), 0.36, color=NEUTRAL, hatch="//", label="AP")
        for column, shift in (("AP50", 0.19), ("AP", -0.19)):
            for row, value in zip(rows, part[column].to_numpy(float), strict=True):
                text = "no object" if np.isnan(value) else f"{value:.3f}"
                end = 0.0 if np.isnan(value) else value
                axes.text(end + 0.005, row + shift, text, va="center", fontsize=8)
        columns = (part["part"], part["images"], part["objects"])
        labels = [f"{x}\n{i} images, {o} objects" for x, i, o in zip(*columns, strict=True)]
        axes.set_yticks(rows, labels, fontsize=8)
        axes.set_title(str(name), loc="left", fontsize=10)
        axes.set_xlim(0, 1.05)
        axes.spines[["top", "right"]].set_visible(False)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower right", ncols=2, frameon=False)
    save(figure, path)


def _class_id(column: str, class_names: Sequence[str]) -> int:
    """The class of a column, whose name has `` (class)`` added where it would not be unique."""
    names = list(class_names)
    return names.index(column if column in names else column.removesuffix(" (class)"))
