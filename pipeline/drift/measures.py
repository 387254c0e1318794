"""How far two samples are apart, and what chance alone would give.

The population stability index of bins ``i`` with shares ``p_i`` (reference) and ``q_i`` (current)
is ``sum((q_i - p_i) * ln(q_i / p_i))``, the symmetric Kullback-Leibler (Jeffreys) divergence.
Credit scoring's usual reading: below 0.1 nothing, from 0.1 some, from 0.25 a strong shift
(Siddiqi, "Credit Risk Scorecards", 2006). Small samples reach these by chance, as without any shift
``PSI / (1/N + 1/M)`` is nearly chi-square with one degree of freedom less than there are bins
(Yurdakul, "Statistical Properties of Population Stability Index", 2018); so a shift must also
exceed its 99 % quantile. Beside it stands the Jensen-Shannon distance (base 2, 0 to 1).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2

ShiftStrength = Literal["none", "some", "strong"]
SOME, STRONG = 0.1, 0.25
BINS = 10
PRIOR = 0.5
"""Added to the count of each bin, so that an empty one does not make the index infinite."""
CONFIDENCE = 0.99

Counts = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Shift:
    """``psi`` and what chance alone stays below (``chance``), Jensen-Shannon distance ``js``."""

    psi: float
    chance: float
    js: float
    verdict: ShiftStrength


def shift(reference: Counts, current: Counts) -> Shift:
    """The shift between two samples, counted in the same bins (K,).

    Bins that are empty in both do not count.
    """
    filled = (reference + current) > 0
    before, after = reference[filled], current[filled]  # each (K',)
    bins = len(before)
    p = (before + PRIOR) / (before.sum() + PRIOR * bins)
    q = (after + PRIOR) / (after.sum() + PRIOR * bins)
    psi = float(np.sum((q - p) * np.log(q / p)))
    sizes = 1 / max(before.sum(), 1) + 1 / max(after.sum(), 1)
    chance = float(sizes * chi2.ppf(CONFIDENCE, bins - 1)) if bins > 1 else 0.0
    # rounding may leave it the root of less than nothing
    js = float(np.nan_to_num(jensenshannon(p, q, base=2)))
    return Shift(psi=psi, chance=chance, js=js, verdict=judge(psi, chance))


def judge(psi: float, chance: float) -> ShiftStrength:
    """What an index says of which chance alone stays below ``chance``."""
    if psi < SOME or psi <= chance:
        return "none"
    return "strong" if psi >= STRONG else "some"


def bin_counts(reference: Values, current: Values) -> tuple[Counts, Counts]:
    """Both samples counted in bins that the reference gives.

    Where it has at most ``BINS`` different values, each is a bin, and so is what lies between two
    of them or beyond; else its quantiles divide it into ``BINS`` bins.
    """
    edges = np.unique(reference)
    if len(edges) <= BINS:
        # 2k+1 for the value edges[k], even numbers for the gaps
        places = [
            np.searchsorted(edges, values, "left") + np.searchsorted(edges, values, "right")
            for values in (reference, current)
        ]
    else:
        edges = np.unique(np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1]))
        places = [np.searchsorted(edges, values, "right") for values in (reference, current)]
    bins = 2 * len(edges) + 1
    before, after = (np.bincount(place, minlength=bins).astype(np.int64) for place in places)
    return before, after
