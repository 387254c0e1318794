"""COCO's figures by name, whoever computes them.

Letters of the shapes: T IoU thresholds, R recalls, K classes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from yolov2.boxes import FloatArray

STATS = (
    "AP",
    "AP50",
    "AP75",
    "APsmall",
    "APmedium",
    "APlarge",
    "AR1",
    "AR10",
    "AR100",
    "ARsmall",
    "ARmedium",
    "ARlarge",
)
"""pycocotools' twelve numbers in its order."""

SIZES = ("small", "medium", "large")
"""Objects of less than 32 x 32, of less than 96 x 96, and of more pixels."""

MAX_DETECTIONS = 100
"""COCO counts at most so many detections of a class in an image."""


COUNTS = ("images", "boxes")
"""Numbers in ``metrics.json`` that are not figures of merit."""


def stats_by_name(stats: Sequence[float] | FloatArray) -> dict[str, float]:
    """The twelve numbers by name; undefined ones, -1 in COCO's tools, are absent."""
    return {name: float(value) for name, value in zip(STATS, stats, strict=True) if value >= 0}


def mean_precision(precision: FloatArray) -> dict[str, float]:
    """AP and AP50 of precision (T, R, K), in which a class without objects is negative."""
    defined = precision[:, :, precision[0, 0] >= 0]
    return {"AP": float(defined.mean()), "AP50": float(defined[0].mean())}


def flat_metrics(content: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a ``metrics.json`` under flat names, as a tracker takes them.

    ``AP`` and the other numbers at the top; ``AP_low``, ``AP_high``: the ends of an interval;
    ``error/<type>``: AP50 that errors of a type cost; ``AP/<class>``, ``AP50/<class>``.
    """
    figures = {
        name: float(value)
        for name, value in content.items()
        if isinstance(value, int | float) and name not in COUNTS
    }
    for name, (low, high) in content.get("intervals", {}).items():
        figures |= {f"{name}_low": float(low), f"{name}_high": float(high)}
    for error, values in content.get("errors", {}).items():
        figures[f"error/{error}"] = float(values["AP50"])
    for class_name, values in content.get("per_class", {}).items():
        # the sizes of every class stay in the file: they would be hundreds of names
        figures |= {
            f"{metric}/{class_name}": float(values[metric])
            for metric in ("AP", "AP50")
            if metric in values
        }
    return figures
