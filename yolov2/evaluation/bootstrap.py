"""How certain an average precision is: the images drawn again, with replacement, many times.

A resample gives each image a weight, the number of times that it was drawn. Matches do not
change, so only the sums over them are made anew (B. Efron, "Bootstrap methods: another look at
the jackknife", 1979; the interval is the percentile interval). What it covers is the choice of
the test images. How much another seed of the training would change is not in it.

Letters of the shapes: R resamples, I images, K classes, T IoU thresholds, M detections of one
class, P of them true.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from yolov2.detection.detections import Detections, GroundTruth
from yolov2.evaluation.matches import ClassMatches, Matches, match

CONFIDENCE = 0.95
RECALLS = torch.from_numpy(np.linspace(0, 1, 101))
"""COCO reads the precision at these recalls; torch's own linspace differs in the last bit."""

ELEMENTS = 20_000_000
"""At most so many numbers of one kind in memory at a time."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ResampledAP:
    """AP and AP50 of each class in each resample, (R, K) each; NaN without an object of it."""

    ap_by_class: Floats
    ap50_by_class: Floats

    @property
    def ap(self) -> Floats:
        """AP (R,): the mean over the classes that have objects."""
        return _mean(self.ap_by_class)

    @property
    def ap50(self) -> Floats:
        """AP50 (R,)."""
        return _mean(self.ap50_by_class)


def draw_weights(images: int, resamples: int, seed: int) -> NDArray[np.int64]:
    """How often (R, I) each image is drawn: ``images`` times with replacement in each resample."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.multinomial(images, np.full(images, 1 / images), size=resamples))


def resampled_ap(matches: Matches, weights: NDArray[np.int64]) -> ResampledAP:
    """COCO's AP and AP50 with each image counted as often as ``weights`` (R, I) say.

    With a row of ones they are those of pycocotools.
    """
    by_class = [_class_ap(one, weights) for one in matches.classes]  # (R, 2) each
    values = np.stack(by_class, axis=1)  # (R, K, 2)
    return ResampledAP(ap_by_class=values[..., 0], ap50_by_class=values[..., 1])


def intervals(
    truth: Mapping[int, GroundTruth],
    detections: Mapping[int, Detections],
    classes: int,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """The 95 % confidence intervals of AP and AP50 over the choice of images."""
    weights = draw_weights(len(truth), resamples, seed)
    found = resampled_ap(match(truth, detections, classes), weights)
    return {"AP": interval(found.ap), "AP50": interval(found.ap50)}


def interval(values: Floats, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The middle ``confidence`` of ``values`` (R,); NaN, undefined resamples, are left out."""
    defined = values[~np.isnan(values)]
    if len(defined) == 0:
        return np.nan, np.nan
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def _mean(by_class: Floats) -> Floats:
    """The mean (R,) over the classes (R, K) that are not NaN; NaN where there is none."""
    defined = ~np.isnan(by_class)
    total = np.where(defined, by_class, 0).sum(axis=1)
    count = defined.sum(axis=1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _class_ap(matches: ClassMatches, weights: NDArray[np.int64]) -> Floats:
    """AP and AP50 (R, 2) of one class for the weights (R, I)."""
    if not matches.objects.any():
        return np.full((len(weights), 2), np.nan)
    rows = max(1, ELEMENTS // max(1, len(matches.image)))
    parts = [
        _part_ap(matches, torch.from_numpy(weights[start : start + rows]).double())
        for start in range(0, len(weights), rows)
    ]
    return np.concatenate(parts)


def _part_ap(matches: ClassMatches, weights: torch.Tensor) -> Floats:
    """AP and AP50 (R, 2) of one class; weights are (R, I)."""
    objects = weights @ torch.from_numpy(matches.objects).double()  # (R,)
    drawn = weights[:, torch.from_numpy(matches.image)]  # (R, M)
    everywhere = drawn.cumsum(dim=1)
    ap = []
    for true, counts in zip(matches.true, matches.counts, strict=True):
        seen = everywhere
        if not counts.all():
            seen = (drawn * torch.from_numpy(counts)).cumsum(dim=1)
        hits = torch.from_numpy(np.flatnonzero(true))  # (P,)
        ap.append(_average_precision(drawn[:, hits].cumsum(dim=1), seen[:, hits], objects))
    values = torch.stack(ap)  # (T, R)
    both = torch.stack((values.mean(dim=0), values[0]), dim=1)  # (R, 2)
    both[objects == 0] = torch.nan
    return both.numpy()


def _average_precision(
    found: torch.Tensor, seen: torch.Tensor, objects: torch.Tensor
) -> torch.Tensor:
    """AP (R,) from the true ones found (R, P) and all seen (R, P) up to each true detection.

    Precision only falls between two true detections, so that those alone decide. An image that
    was not drawn adds a point like the one before it with the same recall, which is never read.
    """
    if found.shape[1] == 0:
        return torch.zeros(len(found), dtype=torch.float64)
    precision = found / seen.clamp(min=1)  # (R, P)
    best = precision.flip(1).cummax(dim=1).values.flip(1)
    recall = found / objects.clamp(min=1)[:, None]
    place = torch.searchsorted(recall, RECALLS.expand(len(recall), -1).contiguous())  # (R, 101)
    padded = torch.cat((best, torch.zeros_like(best[:, :1])), dim=1)  # recall never reached: 0
    return padded.gather(1, place).mean(dim=1)
