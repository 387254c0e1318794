"""Is B better than A? The difference of average precision, and how certain it is.

Both sides are measured on the same images. The images are drawn again with replacement, the
same ones for both sides (paired bootstrap), so that what is hard for both does not count. With
several runs a side, which differ in their seed, the runs are drawn again as well.

So few runs know little of how much runs differ: what drawing them moves a side's mean by is
stretched, by sqrt(S / (S - 1)) because S drawn values vary less about their own mean than about
the true one, and by Student's t over the normal distribution's quantile because the spread is
itself uncertain (B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapters
5 and 12). With one run a side nothing is known of it, and the interval does not cover it.

Letters of the shapes: S runs of a side, R resamples, K classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from yolov2.evaluation.bootstrap import (
    CONFIDENCE,
    Floats,
    ResampledAP,
    draw_weights,
    interval,
    resampled_ap,
)
from yolov2.evaluation.matches import Matches

Verdict = Literal["B is better", "A is better", "no difference shown", "identical"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A figure of both sides, B minus A, and the interval of that; NaN where undefined.

    ``interval_a`` and ``interval_b`` are those of each side alone.
    """

    a: float
    b: float
    interval_a: tuple[float, float]
    interval_b: tuple[float, float]
    low: float
    high: float

    @property
    def difference(self) -> float:
        """B minus A."""
        return self.b - self.a

    @property
    def verdict(self) -> Verdict:
        """What the interval allows to say."""
        if self.a == self.b and self.low == self.high == 0:
            return "identical"
        if self.low > 0:
            return "B is better"
        return "A is better" if self.high < 0 else "no difference shown"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """AP and AP50 over all classes, AP of each class by class id, and on what they rest.

    ``objects`` has the number of objects of each class; ``runs`` how many runs A and B have.
    """

    ap: Difference
    ap50: Difference
    by_class: tuple[Difference, ...]
    objects: tuple[int, ...]
    images: int
    runs: tuple[int, int]
    resamples: int
    seed: int

    @property
    def covers_seeds(self) -> bool:
        """Whether the interval covers what another seed of the training would change."""
        return min(self.runs) > 1


def compare(
    a: Sequence[Matches], b: Sequence[Matches], *, resamples: int = 1000, seed: int = 0
) -> Comparison:
    """B against A, one entry a run; all were matched with the same ground truth."""
    images, first = a[0].images, a[0]
    assert all(run.images == images for run in (*a, *b)), "runs are not of the same images"
    weights = draw_weights(images, resamples, seed)
    once = np.ones((1, images), dtype=np.int64)
    sides = [
        [(resampled_ap(run, once), resampled_ap(run, weights)) for run in side] for side in (a, b)
    ]
    picks = draw_runs((len(a), len(b)), resamples, seed)

    def difference(figure: Callable[[ResampledAP], Floats]) -> Difference:
        points = [float(np.mean([figure(exact) for exact, _ in side])) for side in sides]
        values = [np.stack([figure(drawn) for _, drawn in side]) for side in sides]
        return paired_difference(points, values, picks)

    return Comparison(
        ap=difference(lambda run: run.ap),
        ap50=difference(lambda run: run.ap50),
        by_class=tuple(
            difference(lambda run, k=k: run.ap_by_class[:, k])  # type: ignore[misc]
            for k in range(len(first.classes))
        ),
        objects=tuple(int(one.objects.sum()) for one in first.classes),
        images=images,
        runs=(len(a), len(b)),
        resamples=resamples,
        seed=seed,
    )


def draw_runs(counts: Sequence[int], resamples: int, seed: int) -> list[NDArray[np.int64]]:
    """For each side which of its S runs are drawn, (R, S), with replacement."""
    rng = np.random.default_rng([seed, 1])  # not the numbers that draw the images
    return [rng.integers(count, size=(resamples, count)) for count in counts]


def paired_difference(
    points: Sequence[float], values: Sequence[Floats], picks: Sequence[NDArray[np.int64]]
) -> Difference:
    """The difference of two sides.

    ``points`` are the figures of A and B, ``values`` those of each run in each resample of the
    images, (S, R), and ``picks`` the runs that are drawn, (R, S).
    """
    freedom = sum(len(side) - 1 for side in values)
    moved = [
        _drawn_mean(side, some, freedom) for side, some in zip(values, picks, strict=True)
    ]  # (R,) each
    low, high = interval(moved[1] - moved[0])
    return Difference(
        a=points[0],
        b=points[1],
        interval_a=interval(moved[0]),
        interval_b=interval(moved[1]),
        low=low,
        high=high,
    )


def _drawn_mean(values: Floats, picks: NDArray[np.int64], freedom: int) -> Floats:
    """The mean (R,) over the runs that are drawn, its distance from the side's mean stretched."""
    from scipy.stats import t

    runs, mean = len(values), values.mean(axis=0)
    if runs == 1:
        return np.asarray(mean)
    drawn = values.T[np.arange(len(picks))[:, None], picks].mean(axis=1)
    tail = (1 + CONFIDENCE) / 2
    stretch = (runs / (runs - 1)) ** 0.5 * t.ppf(tail, freedom) / NormalDist().inv_cdf(tail)
    return np.asarray(mean + stretch * (drawn - mean))
