"""Learning rate and optimiser groups by hand."""

from typing import Literal

import pytest
from torch import nn

from yolov2.config.train import TrainConfig
from yolov2.training.schedule import build_optimizer, learning_rate


def test_rate_rises_over_the_warm_up_and_falls_at_the_steps() -> None:
    config = TrainConfig(lr=0.01, lr_steps=(4, 6), lr_gamma=0.1, warmup_epochs=2.0)
    rates = [learning_rate(config, step, steps_per_epoch=5) for step in range(40)]
    assert rates[0] == pytest.approx(0.001)
    assert rates[4] == pytest.approx(0.005)
    assert rates[9] == rates[19] == pytest.approx(0.01)
    assert rates[20] == rates[29] == pytest.approx(0.001)
    assert rates[30] == pytest.approx(0.0001)


def test_no_warm_up_starts_at_the_full_rate() -> None:
    assert learning_rate(TrainConfig(warmup_epochs=0.0), 0, 7) == 0.001


def test_linear_schedule_falls_to_zero_at_the_last_step() -> None:
    config = TrainConfig(lr=0.8, lr_schedule="linear", epochs=4, warmup_epochs=1.0)
    rates = [learning_rate(config, step, steps_per_epoch=2) for step in range(8)]
    assert rates == pytest.approx([0.4, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_norms_and_biases_do_not_decay(optimizer: Literal["sgd", "adamw"]) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    config = TrainConfig(weight_decay=0.2, optimizer=optimizer)
    decayed, plain = build_optimizer(network, config).param_groups
    assert [p.ndim for p in decayed["params"]] == [4]
    assert decayed["weight_decay"] == 0.2
    assert [p.ndim for p in plain["params"]] == [1, 1, 1]
    assert plain["weight_decay"] == 0.0


def test_cosine_schedule_by_hand() -> None:
    config = TrainConfig(epochs=4, lr=0.2, lr_schedule="cosine", lr_final=0.1, warmup_epochs=0.0)
    # lr * (f + (1 - f) * (1 + cos(pi * share)) / 2) at shares 0, 1/4, 1/2, 3/4
    rates = [learning_rate(config, step, 5) for step in (0, 5, 10, 15)]
    assert rates == pytest.approx([0.2, 0.1736396, 0.11, 0.0463604], rel=1e-6)
