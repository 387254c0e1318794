"""Plots of lines: precision over recall, and F1, precision and recall over confidence."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from yolov2.evaluation.report.style import (
    MEAN_LINE,
    OTHER_LINE,
    class_line,
    lowest,
    new_figure,
    plain_text,
    save,
)
from yolov2.evaluation.rows import FIGURES, BestThreshold


def save_pr_plot(
    curves: pd.DataFrame,
    per_class: Mapping[str, Mapping[str, float]],
    class_names: Sequence[str],
    path: Path,
) -> None:
    """Precision over recall at IoU 0.5: a line for each class and their mean, as a PNG.

    ``curves`` has columns recall, mean, then one for each class of ``per_class`` in its order.
    """
    figure = new_figure(8.5, 5.5)
    axes = figure.add_subplot()
    ap50 = {name: values["AP50"] for name, values in per_class.items()}
    named = lowest(ap50)
    for name, column in zip(per_class, curves.columns[2:], strict=True):
        label = f"{ap50[name]:.3f}" if name in named else None
        axes.plot(curves["recall"], curves[column], **_line(name, class_names, label))
    mean = sum(ap50.values()) / len(ap50)
    axes.plot(curves["recall"], curves["mean"], label=f"{mean:.3f}  mean", **MEAN_LINE)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axes.set_title("Precision over recall at IoU 0.5")
    axes.grid(color="0.92")
    title = "AP50" if len(named) == len(ap50) else f"AP50, the {len(named)} lowest"
    figure.legend(
        loc="outside right upper", title=title, fontsize=9, frameon=False, handlelength=3.2
    )
    save(figure, path)


def save_confidence_plot(
    curves: Mapping[str, pd.DataFrame],
    best: Mapping[str, BestThreshold],
    class_names: Sequence[str],
    path: Path,
) -> None:
    """F1, precision and recall over the score threshold, side by side, as a PNG.

    ``curves`` has of each figure columns confidence, mean, then one for each class of ``best``
    in its order. Dots are the best F1 of each class.
    """
    figure = new_figure(14, 4.8)
    named = lowest({name: one.f1 for name, one in best.items()})
    columns = figure.subplots(1, len(FIGURES), sharey=True)
    for axes, title in zip(columns, FIGURES, strict=True):
        table = curves[title]
        for name, column in zip(best, table.columns[2:], strict=True):
            style = _line(
                name, class_names, f"{best[name].threshold:.2f}" if name in named else None
            )
            axes.plot(table["confidence"], table[column], **style)
            if title == "F1" and name in named:
                axes.plot(best[name].threshold, best[name].f1, "o", color=style["color"], ms=6)
        axes.plot(table["confidence"], table["mean"], label="mean", **MEAN_LINE)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="score threshold", title=title)
        axes.grid(color="0.92")
    columns[0].set_ylabel("at IoU 0.5")
    handles, labels = columns[0].get_legend_handles_labels()
    title = "threshold of the best F1" if len(named) == len(best) else "the lowest F1 and its place"
    figure.legend(
        handles,
        labels,
        loc="outside right upper",
        title=title,
        fontsize=9,
        frameon=False,
        handlelength=3.2,
    )
    save(figure, path)


def _line(name: str, class_names: Sequence[str], figure: str | None) -> dict[str, Any]:
    """How the line of a class is drawn: by itself with its ``figure``, or grey among the others."""
    if figure is None:
        return dict(OTHER_LINE)
    style = class_line(list(class_names).index(name))
    return style | {"label": f"{figure}  {plain_text(name)}"}
