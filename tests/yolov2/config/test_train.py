"""What settings say of each other."""

import pytest

from yolov2.config.augment import AugmentConfig
from yolov2.config.train import TrainConfig, without_effect

OFF = (
    "mosaic 1 and mixup 0.5 change nothing: mosaic_off_epochs is 10 and epochs is 8, so no epoch"
    " has them"
)
CASES = {
    "mosaic, mixup": (
        {"epochs": 8, "augment": {"mosaic": 1.0, "mixup": 0.5}, "lr_steps": (4,)},
        [OFF],
    ),
    "mosaic in all but the last epoch": (
        {"epochs": 8, "augment": {"mosaic": 1.0, "mosaic_off_epochs": 7}, "lr_steps": (4,)},
        [],
    ),
    "mixup alone": (
        {"epochs": 10, "augment": {"mixup": 0.5}, "lr_steps": (4,)},
        ["mixup 0.5 changes nothing: mosaic_off_epochs is 10 and epochs is 10, so no epoch has it"],
    ),
    "the learning rate stays": (
        {"epochs": 60, "lr_steps": (60, 90)},
        ["lr_steps [60, 90] change nothing: epochs is 60, so the learning rate never falls"],
    ),
    "a step within the epochs": ({"epochs": 61, "lr_steps": (60, 90)}, []),
    "no steps": ({"epochs": 8, "lr_steps": ()}, []),
    "another schedule": ({"epochs": 8, "lr_schedule": "cosine"}, []),
    "patience": (
        {"epochs": 8, "patience": 7, "lr_steps": ()},
        ["patience 7 changes nothing: epochs is 8, so there is nothing left to stop"],
    ),
    "patience that may stop the last epoch": ({"epochs": 8, "patience": 6, "lr_steps": ()}, []),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_the_epochs_switch_off_is_said(name: str) -> None:
    settings, said = CASES[name]
    augment = AugmentConfig(**settings.get("augment", {}))  # type: ignore[arg-type]
    config = TrainConfig(**(settings | {"augment": augment}))  # type: ignore[arg-type]
    assert without_effect(config, images=5, processes=1) == said


def test_what_data_and_processes_switch_off_is_said() -> None:
    augment = AugmentConfig(mosaic=0.5, mosaic_off_epochs=0)
    config = TrainConfig(epochs=100, augment=augment, sync_batch_norm=True)
    assert without_effect(config, images=2, processes=2) == []
    assert without_effect(config, images=1, processes=1) == [
        "mosaic 0.5 combines the only training image with itself: it needs others",
        "sync_batch_norm changes nothing: one process trains",
    ]
