"""The verdict of a comparison: exact where nothing differs, rarely wrong where only chance does."""

import numpy as np
import pytest

from pipeline.comparison.difference import compare, draw_runs, paired_difference
from tests.yolov2.evaluation.test_bootstrap import CLASSES, scenes
from yolov2.evaluation.matches import match


def test_of_a_run_with_itself_is_exactly_zero() -> None:
    matches = match(*scenes(images=40, seed=1), CLASSES)
    found = compare([matches], [matches], resamples=50)
    for one in (found.ap, found.ap50, *found.by_class):
        assert (one.difference, one.low, one.high) == (0.0, 0.0, 0.0)
        assert one.verdict == "identical"
    assert not found.covers_seeds


def test_says_who_is_better() -> None:
    truth, found = scenes(images=60, seed=3)
    worse = {
        i: some.above(float(np.median(some.scores))) if len(some) else some
        for i, some in found.items()
    }
    full, half = match(truth, found, CLASSES), match(truth, worse, CLASSES)
    assert compare([half], [full], resamples=200).ap.verdict == "B is better"
    turned = compare([full], [half], resamples=200)
    assert turned.ap.verdict == "A is better"
    assert turned.ap.low <= turned.ap.difference <= turned.ap.high < 0
    assert turned.ap.interval_a[0] <= turned.ap.a <= turned.ap.interval_a[1]


@pytest.mark.parametrize("runs", [2, 3, 6])
def test_seeds_of_one_recipe_seem_different_in_one_of_twenty(runs: int) -> None:
    """Runs whose AP varies by chance, on a test set whose choice varies by chance as well."""
    rng = np.random.default_rng(runs)
    wrong, trials, resamples = 0, 400, 300
    for trial in range(trials):
        shift = rng.normal(0, 0.01)  # of this test set, for all runs
        points = shift + rng.normal(0.5, 0.01, (2, runs))
        images = rng.normal(0, 0.01, resamples)
        found = paired_difference(
            points.mean(axis=1).tolist(),
            [side[:, None] + images for side in points],
            draw_runs((runs, runs), resamples, trial),
        )
        wrong += found.verdict != "no difference shown"
    # 20 expected; a binomial count above 35 has a probability below 0.001
    assert wrong <= 35
