"""The choice of anchors as a picture among the boxes."""

from pathlib import Path

import numpy as np

from yolov2.boxes import FloatArray
from yolov2.config.model import DEFAULT_ANCHORS, STRIDE
from yolov2.data.anchors import AnchorReport

DRAWN_BOXES = 20_000
"""At most so many boxes become points: more only make the picture slower and darker."""

MARKS = {"found": ("o", "#d62728"), "default": ("X", "#1f77b4"), "given": ("^", "#2ca02c")}


def save_anchor_plot(report: AnchorReport, path: Path) -> None:
    """Write a scatter of the box sizes with every candidate set of anchors as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 7), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    boxes = _some(report.sizes_cells)
    label = f"boxes of the training split ({len(report.sizes_cells)})"
    axes.scatter(boxes[:, 0], boxes[:, 1], s=7, color="0.6", alpha=0.5, linewidths=0, label=label)
    for name, anchors in _candidates(report).items():
        marker, colour = MARKS[name]
        chosen = ", used" if name == _used(report) else ""
        label = f"{name} anchors: mean IoU {report.mean_iou[name]:.3f}{chosen}"
        axes.scatter(
            anchors[:, 0],
            anchors[:, 1],
            s=110,
            marker=marker,
            color=colour,
            edgecolors="white",
            label=label,
        )
    limit = 1.05 * max(report.sizes_cells.max(), *(a.max() for a in _candidates(report).values()))
    axes.set(xlim=(0, limit), ylim=(0, limit), aspect="equal")
    axes.set_xlabel(f"width in cells of {STRIDE} px at {report.image_size} px input")
    axes.set_ylabel("height in cells")
    axes.set_title("Box sizes and anchors")
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.legend(loc="upper left", framealpha=0.9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def _candidates(report: AnchorReport) -> dict[str, FloatArray]:
    """The sets of anchors (K, 2) by name, in the order they are drawn."""
    sets = {"default": np.array(DEFAULT_ANCHORS), "given": report.given, "found": report.found}
    return {name: anchors for name, anchors in sets.items() if anchors is not None}


def _used(report: AnchorReport) -> str:
    """Name of the set that the network gets."""
    return "found" if report.method == "kmeans" else report.method


def _some(sizes: FloatArray) -> FloatArray:
    """All sizes (N, 2), or an even selection where there are too many to draw."""
    step = -(-len(sizes) // DRAWN_BOXES)
    return sizes[::step]
