"""The real stage killed a few times; ``benchmarks/kill_training.py`` does it thoroughly."""

from pathlib import Path

import pytest

from benchmarks.support.killing import run_killed, run_whole
from benchmarks.support.leftovers import differences


@pytest.mark.slow
def test_a_training_that_is_killed_is_the_same_in_the_end(tmp_path: Path) -> None:
    settings, images = {"train.epochs": 5}, 24
    timeline = run_whole(tmp_path / "whole", settings, images)
    hit = run_killed(tmp_path / "killed", settings, images, timeline, kills=3, seed=1)
    assert differences(tmp_path / "whole", tmp_path / "killed") == []
    assert sum(hit.values()) == 3
