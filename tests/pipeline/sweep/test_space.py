from pathlib import Path

import optuna
import pytest

from pipeline.sweep.space import at_present, check, parse

PARAMS = "train: {lr: 0.001, epochs: 5, amp: auto, lr_steps: [2, 4], augment: {mosaic: 0.5}}\n"


@pytest.fixture
def params(tmp_path: Path) -> Path:
    file = tmp_path / "params.yaml"
    file.write_text(PARAMS)
    return file


def test_every_kind_draws_texts_that_params_yaml_takes(params: Path) -> None:
    space = parse(
        {
            "train.lr": "loguniform(1e-4, 1e-2)",
            "train.augment.mosaic": "uniform(0, 1)",
            "train.epochs": "integer(5, 7)",
            "train.lr_steps": "choice([2, 4], [3])",
            "train.amp": "auto",
        }
    )
    check(space, params)
    present = at_present(space, params)
    assert present == {
        "train.lr": 0.001,
        "train.augment.mosaic": 0.5,
        "train.epochs": 5,
        "train.lr_steps": "[2, 4]",
    }
    study = optuna.create_study()
    study.enqueue_trial(present)
    assert space.draw(study.ask()) == {
        "train.amp": "auto",
        "train.lr": "0.001",
        "train.augment.mosaic": "0.5",
        "train.epochs": "5",
        "train.lr_steps": "[2, 4]",
    }
    for _ in range(20):
        drawn = space.draw(study.ask())
        assert 1e-4 <= float(drawn["train.lr"]) <= 1e-2
        assert drawn["train.epochs"] in {"5", "6", "7"}
        assert drawn["train.lr_steps"] in {"[2, 4]", "[3]"}


def test_combinations_are_counted() -> None:
    space = parse({"a.b": "choice(1, 2, 3)", "a.c": "integer(4, 5)", "a.d": "7"})
    assert space.combinations == 6
    assert parse({"a.b": "choice(1, 2)", "a.c": "uniform(0, 1)"}).combinations == float("inf")


def test_what_is_not_in_the_space_is_not_the_present(params: Path) -> None:
    assert at_present(parse({"train.lr": "loguniform(0.01, 0.1)"}), params) is None
    assert at_present(parse({"train.epochs": "choice(8, 9)"}), params) is None


@pytest.mark.parametrize(
    "text",
    ["normal(0, 1)", "uniform(2, 1)", "uniform(1)", "integer(0.5, 2)", "choice()", "uniform(a, b)",
     "loguniform(0, 1)", "choice([)"],
)  # fmt: skip
def test_what_cannot_be_drawn_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"^-S train.lr="):
        parse({"train.lr": text})


def test_each_end_is_tried_before_a_trial(params: Path) -> None:
    with pytest.raises(ValueError, match="nothing to choose from"):
        parse({"train.lr": "0.1"})
    with pytest.raises(ValueError, match="-S train.none=1: write section.key=value"):
        check(parse({"train.none": "choice(1)"}), params)
    with pytest.raises(ValueError, match=r"-S train.lr=-1.*: params.yaml:1: train: lr must be"):
        check(parse({"train.lr": "uniform(-1, 1)"}), params)
