"""Every rule on numbers worked by hand."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.comparison.difference import Comparison, Difference
from pipeline.params.promotion import PromoteConfig
from pipeline.promotion.rules import Evidence, Side, judge, margin

CONFIG = PromoteConfig(margin=0.01)
OLD = Side(
    number=1,
    ap=0.50,
    ap50=0.80,
    class_names=("cat", "dog"),
    latency_ms=10.0,
    megabytes=20.0,
)
NEW = replace(OLD, number=2, ap=0.56, ap50=0.85)


def difference(a: float, b: float, half: float) -> Difference:
    return Difference(
        a=a,
        b=b,
        interval_a=(a, a),
        interval_b=(b, b),
        low=b - a - half,
        high=b - a + half,
    )


def evidence(half: float = 0.02, dog: float = 0.5, objects: int = 50, **changes: Any) -> Evidence:
    """AP 0.50 -> 0.56 give or take ``half``; cats gain, dogs change from 0.5 to ``dog``."""
    ap = difference(0.50, 0.56, half)
    comparison = Comparison(
        ap=ap,
        ap50=ap,
        by_class=(difference(0.5, 0.6, 0.1), difference(0.5, dog, 0.1)),
        objects=(objects, objects),
        images=9,
        runs=(1, 1),
        resamples=100,
        seed=0,
    )
    return Evidence(
        challenger=replace(NEW, **changes),
        champion=OLD,
        comparison=comparison,
        split="test",
        digest="d" * 64,
    )


def failed(found: Evidence, config: PromoteConfig = CONFIG) -> list[str]:
    return [check.sentence() for check in judge(found, config) if not check.passed]


def test_better_in_every_respect() -> None:
    checks = judge(evidence(), CONFIG)
    assert [check.name for check in checks] == [
        "AP",
        "AP50",
        "class list",
        "AP difference",
        "worst class",
        "latency",
        "size",
        "export parity",
        "validation",
    ]
    assert all(check.passed for check in checks)


@pytest.mark.parametrize(
    ("half", "passed"),
    [(0.04, True), (0.051, False)],  # the lower end is 0.02, and 0.009 below the margin of 0.01
)
def test_the_lower_end_of_the_interval_counts(half: float, passed: bool) -> None:
    assert (failed(evidence(half)) == []) == passed


def test_no_difference_shown_is_refused_even_without_a_margin() -> None:
    (reason,) = failed(evidence(half=0.07), PromoteConfig(margin=0.0))
    assert reason == (
        "AP difference: 0.5000 -> 0.5600, +0.0600 (95 % interval -0.0100 to +0.1300): no"
        " difference shown; wanted: the whole interval above +0.0000 (promote.margin)"
    )


def test_a_class_that_lost_too_much() -> None:
    (reason,) = failed(evidence(dog=0.44))
    assert reason.startswith("worst class: dog: 0.5000 -> 0.4400, -0.0600 (50 objects); wanted: at")
    assert failed(evidence(dog=0.46)) == []
    assert failed(evidence(dog=0.1, objects=49)) == []  # too few objects to tell


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"latency_ms": 12.1},
            "latency: 12.10 ms; wanted: at most 12.00 ms (1.2 times the champion's 10.00 ms)",
        ),
        (
            {"megabytes": 30.5},
            "size: 30.50 MB; wanted: at most 30.00 MB (1.5 times the champion's 20.00 MB)",
        ),
        (
            {"class_names": ("dog", "cat")},
            "class list: the same in another order; wanted: that of the champion, version 1",
        ),
        (
            {"class_names": ("cat", "owl")},
            "class list: new: owl; gone: dog; wanted: that of the champion, version 1",
        ),
        (
            {"parity": "not known"},
            "export parity: not known; wanted: proven on real images",
        ),
        (
            {"validation": "the check failed"},
            "validation: the check failed; wanted: passed on the training's data",
        ),
    ],
)
def test_what_else_is_refused(changes: dict[str, Any], reason: str) -> None:
    assert failed(evidence(**changes)) == [reason]


def test_the_first_has_thresholds_only() -> None:
    first = replace(evidence(), champion=None, comparison=None)
    config = PromoteConfig(min_ap=0.57, min_ap50=0.85, max_latency_ms=9.0, max_megabytes=20.0)
    assert failed(first, config) == [
        "AP: 0.5600; wanted: at least 0.5700",
        "latency: 10.00 ms; wanted: at most 9.00 ms (the limit)",
    ]
    assert failed(first) == []


def test_margin_is_the_spread_of_seeds_once_there_are_three() -> None:
    config = PromoteConfig(seed_spread=0.03)
    few = replace(evidence(), seed_aps=(0.5, 0.6))
    assert margin(few, config)[0] == 0.03
    assert "2 of 3 seeds" in margin(few, config)[1]
    enough = replace(few, seed_aps=(0.50, 0.52, 0.54))  # standard deviation 0.02
    assert margin(enough, config) == (pytest.approx(0.02), "standard deviation of 3 seeds")
