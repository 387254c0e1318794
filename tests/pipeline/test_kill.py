"""The real stage, its recorder, its server killed a few times.

``benchmarks/kill_training.py`` does it thoroughly.
"""

from pathlib import Path

import pytest

from benchmarks.kill_training import VICTIMS
from benchmarks.support.killing import run_whole
from benchmarks.support.leftovers import differences


@pytest.mark.slow
@pytest.mark.parametrize(
    "victim", ["stage", "recorder", pytest.param("server", marks=pytest.mark.services)]
)
def test_a_training_that_is_disturbed_is_the_same_in_the_end(tmp_path: Path, victim: str) -> None:
    settings, images = {"train.epochs": 5}, 24
    timeline = run_whole(tmp_path / "whole", settings, images)
    hit = VICTIMS[victim](tmp_path / "killed", settings, images, timeline, 3, 1)
    assert differences(tmp_path / "whole", tmp_path / "killed") == []
    assert sum(hit.values()) == 3
    assert hit["missed"] < 3
