"""Anchor sizes from the boxes of a data set: k-means with the distance 1 - IoU.

Sizes are measured in grid cells after letterboxing to the training size, because that is what
the network sees. Follows darknet's ``calc_anchors`` (AlexeyAB ``src/detector.c``): distinct
random boxes to begin with, arithmetic mean, an empty cluster keeps its centre, sorted by area.
The best of many restarts counts.

Letters of the shapes: N boxes, K anchors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yolov2.boxes import FloatArray, size_iou
from yolov2.config.data import AnchorsConfig
from yolov2.config.model import DEFAULT_ANCHORS
from yolov2.data.box_sizes import letterboxed_sizes
from yolov2.data.table import LabelTables

MAX_ITERATIONS = 1000
RESTART_SIZES = 50_000
"""Restarts run on at most so many different sizes (COCO has 800,000); the best one then
continues on all of them."""


@dataclass(frozen=True, kw_only=True)
class AnchorReport:
    """The anchors to train with, and how well each candidate set fits the boxes.

    ``anchors`` and ``found`` are widths and heights (K, 2) in cells by ascending area; ``found``
    is None where there are fewer different sizes than ``config.k``. ``mean_iou`` has ``default``
    and, where there are such anchors, ``found`` and ``given``; ``spread`` is the ``lowest`` and
    ``highest`` mean IoU over the k-means restarts. ``sizes_cells`` (N, 2) are the boxes.
    """

    method: str
    image_size: int
    anchors: FloatArray
    found: FloatArray | None
    given: FloatArray | None
    mean_iou: dict[str, float]
    spread: dict[str, float]
    sizes_cells: FloatArray

    def as_json(self) -> dict[str, object]:
        """The content of ``anchors.json``."""
        return {
            "anchors": self.anchors.tolist(),
            "method": self.method,
            "image_size": self.image_size,
            "boxes": len(self.sizes_cells),
            "mean_iou": self.mean_iou,
            "spread": self.spread,
        }

    def as_table(self) -> pd.DataFrame:
        """A row for each anchor of every candidate set.

        Columns ``set``, ``width`` and ``height`` in cells, ``mean_iou`` and ``used`` of the set.
        """
        sets = {"default": np.array(DEFAULT_ANCHORS), "given": self.given, "found": self.found}
        used = "found" if self.method == "kmeans" else self.method
        rows = [
            (name, width, height, self.mean_iou[name], name == used)
            for name, anchors in sets.items()
            for width, height in ([] if anchors is None else anchors.tolist())
        ]
        return pd.DataFrame(rows, columns=["set", "width", "height", "mean_iou", "used"])


def mean_iou(sizes: FloatArray, anchors: FloatArray) -> float:
    """Mean over the boxes (N, 2) of the IoU with the best of the anchors (K, 2)."""
    return float(_best(sizes, anchors)[1].mean())


def choose_anchors(tables: LabelTables, config: AnchorsConfig, image_size: int) -> AnchorReport:
    """The anchors that ``config`` asks for, with the mean IoU of every candidate set.

    The training split counts. k-means runs whichever the method, so that the report shows what
    the chosen anchors give away; only ``method: kmeans`` fails where it cannot.
    """
    sizes = letterboxed_sizes(tables, "train", image_size)
    candidates: dict[str, FloatArray] = {}
    spread: dict[str, float] = {}
    if config.method == "kmeans" or len(_distinct(sizes)[0]) >= config.k:
        candidates["found"], scores = kmeans_anchors(sizes, config.k, config.restarts, config.seed)
        spread = {"lowest": min(scores), "highest": max(scores)}
    candidates["default"] = _by_area(np.array(DEFAULT_ANCHORS))
    if config.given:
        candidates["given"] = _by_area(np.array(config.given, dtype=np.float64))
    return AnchorReport(
        method=config.method,
        image_size=image_size,
        anchors=candidates["found" if config.method == "kmeans" else config.method],
        found=candidates.get("found"),
        given=candidates.get("given"),
        mean_iou={name: mean_iou(sizes, anchors) for name, anchors in candidates.items()},
        spread=spread,
        sizes_cells=sizes,
    )


def kmeans_anchors(
    sizes: FloatArray, k: int, restarts: int, seed: int
) -> tuple[FloatArray, Sequence[float]]:
    """The best of ``restarts`` clusterings of sizes (N, 2), and the mean IoU of each.

    The anchors (k, 2) are by ascending area. Raises ``ValueError`` when there are fewer than ``k``
    different sizes.
    """
    distinct, counts = _distinct(sizes)
    if len(distinct) < k:
        raise ValueError(
            f"k-means with k={k} needs at least {k} different box sizes, but the training boxes "
            f"have {len(distinct)}: lower anchors.k or set anchors.method to 'default' or 'given'"
        )
    random = np.random.default_rng(seed)
    sample = np.arange(len(distinct))
    if len(distinct) > RESTART_SIZES:
        sample = random.choice(len(distinct), RESTART_SIZES, replace=False, p=counts / counts.sum())
    weights = counts[sample] if len(sample) == len(distinct) else np.ones(len(sample))
    best: FloatArray = np.empty((k, 2))
    scores: list[float] = []
    for _ in range(restarts):
        start = random.choice(sample, k, replace=False)
        centres, score = _lloyd(distinct[sample], weights, distinct[start])
        if not scores or score > max(scores):
            best = centres
        scores.append(score)
    if len(sample) < len(distinct):
        best, _ = _lloyd(distinct, counts, best)
    return _by_area(best), scores


def _lloyd(sizes: FloatArray, weights: FloatArray, centres: FloatArray) -> tuple[FloatArray, float]:
    """Centres (K, 2) moved until no box (N, 2) of weight (N,) changes cluster; the mean IoU."""
    cluster, iou = _best(sizes, centres)
    for _ in range(MAX_ITERATIONS):
        before = cluster
        total = np.bincount(cluster, weights, minlength=len(centres))
        sums = [np.bincount(cluster, weights * side, minlength=len(centres)) for side in sizes.T]
        filled = total > 0
        centres = centres.copy()
        centres[filled] = np.stack(sums, axis=1)[filled] / total[filled, None]
        cluster, iou = _best(sizes, centres)
        if np.array_equal(cluster, before):
            break
    return centres, float(np.average(iou, weights=weights))


def _best(sizes: FloatArray, anchors: FloatArray) -> tuple[NDArray[np.intp], FloatArray]:
    """For each size (N, 2) the index (N,) of the anchor with the greatest IoU, and that IoU (N,).

    One anchor at a time: an (N, K, 2) table of a large data set does not fit the caches.
    """
    best = np.zeros(len(sizes), dtype=np.intp)
    best_iou = np.full(len(sizes), -1.0)
    for index in range(len(anchors)):
        iou = size_iou(sizes, anchors[index : index + 1])[:, 0]
        better = iou > best_iou
        best[better] = index
        best_iou[better] = iou[better]
    return best, best_iou


def _distinct(sizes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The different sizes (M, 2), to a millionth of a cell, and how often each occurs (M,)."""
    values, counts = np.unique(np.round(sizes, 6), axis=0, return_counts=True)
    return values, counts.astype(np.float64)


def _by_area(anchors: FloatArray) -> FloatArray:
    """Anchors (K, 2) by ascending area, the narrower first where areas are equal."""
    return np.asarray(anchors[np.lexsort((anchors[:, 0], anchors.prod(axis=1)))])
