from pipeline.tracking.marks import (
    COLOUR,
    COLOURS,
    RunChange,
    changes,
    next_colour,
    run_name,
    sentence,
)
from tests.pipeline.tracked import KEY, identity

BEFORE = {"train.lr": "0.1", "train.epochs": "12", "old": "1"}
DATA = {"data.test": "a", "data.all": "x", "code": "1"}


def test_changes_are_parameters_then_data_then_code() -> None:
    now = {"train.epochs": "20", "train.lr": "0.1", "new": "2"}
    found = changes(BEFORE, now, DATA, {"data.test": "b", "data.all": "y", "code": "2"})
    assert sentence(found) == "train.epochs 12 → 20, data test, code"


def test_what_only_one_run_tells_is_no_change() -> None:
    assert changes(BEFORE, BEFORE, {}, DATA) == []
    assert sentence([]) == "nothing"
    assert sentence(None) == "first"


def test_a_long_list_and_a_long_value_are_cut() -> None:
    found = [RunChange(name=f"p{i}", before="1", after="2" * 100) for i in range(8)]
    text = sentence(found)
    assert text.startswith(f"p0 1 → {'2' * 59}…, p1 ")
    assert text.endswith(", and 2 more")


def test_a_name_has_the_experiment_and_the_new_values() -> None:
    lr, epochs, code = (
        RunChange(name="train.lr", before="0.1", after="0.2"),
        RunChange(name="train.epochs", before="12", after="20"),
        RunChange(name="code"),
    )
    names = [run_name("train", KEY, identity(), found) for found in (None, [], [lr, epochs, code])]
    assert names == ["train-01234567", "train-01234567", "train-lr=0.2-epochs=20-01234567"]
    many = [lr, epochs, RunChange(name="train.seed", before="0", after="1")]
    demo = identity(dvc_experiment="demo")
    assert run_name("evaluate", KEY, demo, many) == "evaluate-demo-01234567"
    long = RunChange(name="train.lr_steps", before="[]", after="[60, 90, 120, 150]")
    assert run_name("evaluate", KEY, demo, [long]) == "evaluate-demo-01234567"


def test_neighbours_have_other_colours() -> None:
    assert next_colour({}) == COLOURS[0]
    assert next_colour({COLOUR: COLOURS[0]}) == COLOURS[1]
    assert next_colour({COLOUR: COLOURS[-1]}) == COLOURS[0]
    assert next_colour({COLOUR: "a person's"}) == COLOURS[0]
    assert len(set(COLOURS)) == len(COLOURS)


def test_a_setting_that_had_no_effect_is_no_change() -> None:
    plain = {"train.epochs": "8", "train.augment.mosaic": "0.0", "train.augment.mixup": "0.0"}
    before = plain | {"train.augment.mosaic_off_epochs": "10"}
    after = before | {"train.augment.mosaic": "0.5", "train.augment.mixup": "1.0"}
    assert sentence(changes(before, after, {}, {})) == "nothing"
    longer = after | {"train.epochs": "20"}
    assert sentence(changes(after, longer, {}, {})) == (
        "train.epochs 8 → 20, train.augment.mosaic 0.0 → 0.5, train.augment.mixup 0.0 → 1.0"
    )
    assert sentence(changes(plain, plain | {"train.augment.mixup": "1.0"}, {}, {})) == (
        "train.augment.mixup 0.0 → 1.0"  # of code that had no such epochs
    )
