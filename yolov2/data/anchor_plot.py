"""The choice of anchors as a picture among the boxes."""

from pathlib import Path

import pandas as pd

from yolov2.boxes import FloatArray
from yolov2.config.model import STRIDE

DRAWN_BOXES = 20_000
"""At most so many boxes become points: more only make the picture slower and darker."""

MARKS = {"found": ("o", "#d62728"), "default": ("X", "#1f77b4"), "given": ("^", "#2ca02c")}


def save_anchor_plot(
    anchors: pd.DataFrame, sizes_cells: FloatArray, image_size: int, path: Path
) -> None:
    """Write a scatter of the box sizes (N, 2) with every candidate set of anchors as a PNG.

    ``anchors`` is the table of an ``AnchorReport``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 7), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    boxes = _some(sizes_cells)
    label = f"boxes of the training split ({len(sizes_cells)})"
    axes.scatter(boxes[:, 0], boxes[:, 1], s=7, color="0.6", alpha=0.5, linewidths=0, label=label)
    for name, some in anchors.groupby("set", sort=False):
        marker, colour = MARKS[str(name)]
        chosen = ", used" if some["used"].iloc[0] else ""
        label = f"{name} anchors: mean IoU {some['mean_iou'].iloc[0]:.3f}{chosen}"
        axes.scatter(
            some["width"],
            some["height"],
            s=110,
            marker=marker,
            color=colour,
            edgecolors="white",
            label=label,
        )
    limit = 1.05 * max(sizes_cells.max(), anchors[["width", "height"]].to_numpy().max())
    axes.set(xlim=(0, limit), ylim=(0, limit), aspect="equal")
    axes.set_xlabel(f"width in cells of {STRIDE} px at {image_size} px input")
    axes.set_ylabel("height in cells")
    axes.set_title("Box sizes and anchors")
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.legend(loc="upper left", framealpha=0.9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def _some(sizes: FloatArray) -> FloatArray:
    """All sizes (N, 2), or an even selection where there are too many to draw."""
    step = -(-len(sizes) // DRAWN_BOXES)
    return sizes[::step]
