"""The preset ``own``: what is chosen from the data and the machine, and how long it will take."""

import re
import shlex
import time
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli
from pipeline.params import own, timing
from pipeline.params.own import Sample, choose, fit, input_side, look_at, with_epochs, with_memory
from pipeline.params.presets import OWN
from pipeline.params.schema import Params, load
from pipeline.params.timing import Timing, in_words, measure
from pipeline.params.use import use_preset
from tests.datasets import picture, write_dataset
from tests.tables import make_tables
from yolov2.commands import train as train_command
from yolov2.commands.options import section_from
from yolov2.config.augment import AugmentConfig
from yolov2.config.model import ModelConfig
from yolov2.config.train import MultiScaleConfig, TrainConfig
from yolov2.data.description import read_description
from yolov2.runs.inputs import TrainingInputs
from yolov2.runs.run import train_run

ROOT = Path(__file__).parents[3]
BOX = "0 .5 .5 .4 .4\n"


def sample(train: int = 205, val: int = 87, side: int = 640, box: float = 64) -> Sample:
    """A data set of so many square images, each with one box; a few of them are looked at."""
    rows = [(split, side, side, [(0, 0, 0, box, box)]) for split in ("train", "train", "val")]
    return Sample(
        images={"train": train, "val": val}, tables=make_tables(rows, ["thing"]), mistakes={}
    )


def test_own_is_the_recipe_of_the_table_of_blood_cells() -> None:
    readme = (ROOT / "benchmarks" / "README.md").read_text()
    (command,) = re.findall(r"`(yolov2 train --data \.\.\./bccd[^`]*)`", readme)
    parser = ArgumentParser()
    train_command.add_options(parser)
    args = parser.parse_args(shlex.split(command)[2:])
    assert section_from(args, ModelConfig) == OWN.model
    sections: dict[str, Any] = {
        "augment": section_from(args, AugmentConfig),
        "multi_scale": section_from(args, MultiScaleConfig, prefix="multi_scale_"),
    }
    assert section_from(args, TrainConfig, **sections) == OWN.train


@pytest.mark.parametrize(
    ("side", "box", "largest", "chosen"),
    [
        (640, 64, 416, 320),  # a box of a tenth is a cell of 32 pixels at 320
        (640, 42, 416, 416),  # at 488 px: more than is computed on a CPU
        (640, 42, 640, 512),
        (4000, 40, 640, 640),
        (640, 320, 416, 256),
        (640, 1e-200, 416, 416),
        (128, 12, 416, 128),  # small images are not enlarged
        (100, 50, 416, 128),
        (30, 10, 416, 64),
    ],
)
def test_the_side_lets_small_boxes_fill_a_cell(
    side: int, box: float, largest: int, chosen: int
) -> None:
    assert input_side(sample(side=side, box=box).tables, largest) == chosen


@pytest.mark.parametrize(
    ("device", "images", "expected"),
    [
        ("cpu", 205, (0.25, 80, 8)),
        ("cpu", 103, (0.25, 160, 8)),
        ("cpu", 20, (0.25, 300, 8)),
        ("cpu", 2000, (0.25, 60, 16)),
        ("cuda", 205, (0.5, 80, 8)),
        ("cuda", 118_000, (1.0, 60, 16)),
    ],
)
def test_width_epochs_and_batch_go_by_images_and_machine(
    device: str, images: int, expected: tuple[float, int, int]
) -> None:
    params = choose(sample(images), device)
    train = params.train
    assert (params.model.width, train.epochs, train.batch_size) == expected
    assert (params.machine.num_workers == 0) is (device == "cpu")
    assert (train.optimizer, train.lr, train.lr_schedule) == ("adamw", 0.002, "cosine")


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(80, (2.0, 10, 10)), (160, (2.0, 10, 10)), (40, (1.0, 5, 5)), (8, (0.2, 1, 1)),
     (1, (0.025, 1, 0))],
)  # fmt: skip
def test_what_is_counted_in_epochs_keeps_its_share(
    epochs: int, expected: tuple[float, int, int]
) -> None:
    train = with_epochs(OWN.train, epochs)
    assert train.epochs == epochs
    off = train.augment.mosaic_off_epochs
    assert (train.warmup_epochs, train.validate_every, off) == expected
    assert epochs != 80 or train == OWN.train


def timed(step: float = 2.0, validated: float = 0.5, batch: int = 8) -> Timing:
    return Timing(
        step=step, validated_image=validated, batch_size=batch, images=8, machine="this CPU"
    )


def test_the_whole_is_steps_and_validations() -> None:
    train = replace(OWN.train, epochs=10, validate_every=4)
    # 3 steps an epoch; validated after the epochs 4, 8 and 10
    assert timed().total(train, {"train": 20, "val": 6}) == 10 * 3 * 2.0 + 3 * 6 * 0.5


def by_pixels(asked: list[tuple[int, float]]) -> Callable[[Params], Timing]:
    """3.6 s a step at 416 px and a quarter of the width, in proportion to pixels and width."""

    def measured(params: Params) -> Timing:
        side, width = params.model.image_size, params.model.width
        asked.append((side, width))
        return timed(3.6 * (side / 416) ** 2 * width / 0.25, 0.0)

    return measured


@pytest.mark.parametrize(
    ("hours", "expected", "asked"),
    [
        # ten steps an epoch: 36 s at 416 px, 21.3 at 320, 13.6 at 256, 7.67 at 192
        (1.0, (416, 0.25, 100), [(416, 0.25)]),
        (5.0, (416, 0.25, 160), [(416, 0.25)]),  # not more than twice the recipe's
        (0.5, (416, 0.25, 50), [(416, 0.25)]),
        (0.3, (320, 0.25, 50), [(416, 0.25), (320, 0.25)]),
        (0.1, (192, 0.25, 46), [(416, 0.25), (192, 0.25)]),
        (0.02, (192, 0.125, 18), [(416, 0.25), (192, 0.125)]),
    ],
)
def test_hours_choose_epochs_first_then_side_then_width(
    hours: float, expected: tuple[int, float, int], asked: list[tuple[int, float]]
) -> None:
    seen: list[tuple[int, float]] = []
    params, found = fit(OWN, sample(80, 10), hours, by_pixels(seen))
    assert (params.model.image_size, params.model.width, params.train.epochs) == expected
    assert seen == asked
    assert found.total(params.train, {"train": 80, "val": 10}) <= 3600 * hours


def test_hours_that_are_too_few_for_one_epoch_say_what_one_takes() -> None:
    with pytest.raises(ValueError, match="one epoch") as caught:
        fit(OWN, sample(80, 10), 0.0005, by_pixels([]))
    assert str(caught.value) == (
        "--hours 0.0005: one epoch alone, at 192 px and width 0.125, takes about 4 s here: allow"
        " more time, or train on a CUDA machine"
    )


def test_a_step_that_does_not_fit_into_memory_is_divided() -> None:
    assert with_memory(OWN, timed()) == OWN
    train = with_memory(OWN, timed(batch=3)).train
    assert (train.batch_size, train.nominal_batch) == (3, 8)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (50.4, "50 s"), (91, "2 min"), (2400, "40 min"), (12_000, "3 h 20 min"),
     (7200, "2 h"), (3 * 86_400, "3 days"), (190_800, "2 days 5 h")],
)  # fmt: skip
def test_durations_in_words(seconds: float, said: str) -> None:
    assert in_words(seconds) == said


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which no stage has run; the clock runs for a short time only."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(timing, "SECONDS", 0.1)
    return tmp_path


def test_use_own_works_before_any_stage_and_says_how_long(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = {"train": {f"t{i}": BOX for i in range(9)}, "val": {"v": BOX + "7 .5 .5 .1 .1\n"}}
    images = {f"train/t{i}.jpg": picture(64, 64) for i in range(9)}
    description = write_dataset(folder / "set", splits, images=images)
    cli.run(["params", "use", "own", "--data", str(description.relative_to(folder))])
    params = load(Path("params.yaml"))
    assert (params.data.config, params.data.root) == ("set/data.yaml", ".")
    assert params.model == ModelConfig(image_size=64, width=0.25)
    assert (params.train.epochs, params.train.batch_size) == (300, 8)
    assert params.train.loss == TrainConfig().loss
    assert params.evaluate.split == "val"
    assert {path.name for path in folder.iterdir()} == {"set", "params.yaml"}
    first, written, caution, duration, mistakes, then = capsys.readouterr().out.splitlines()
    assert first == "timing real training steps of this data set, about half a minute"
    assert written == (
        "params.yaml: preset own, data set/data.yaml, 64 px, width 0.25, 300 epochs of batch 8,"
        " scored on val"
    )
    assert caution.endswith("on new images expect less: add a test split if you can")
    assert re.fullmatch(
        r"training takes about \d+ (s|min) on this CPU \(1 thread\), as busy as it is now:"
        r" [\d.]+ s a step of 8 images, [\d.]+ s an image to validate",
        duration,
    )
    assert mistakes.startswith("the data has mistakes (1 class_out_of_range): the stage validate")
    assert then == "next: dvc repro (or dvc exp run -n NAME)"


def test_use_own_within_hours(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    splits = {split: {split: BOX} for split in ("train", "val", "test")}
    description = write_dataset(folder / "set", splits)
    cli.run(["params", "use", "own", "--data", str(description), "--hours", "9"])
    params = load(Path("params.yaml"))
    assert (params.train.epochs, params.evaluate.split) == (600, "test")
    with pytest.raises(ValueError, match=r"^--hours must be between 0\.001 and 10000, not 0$"):
        use_preset("own", description, hours=0)


def test_without_timing_nothing_is_trained(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = {split: {split: BOX} for split in ("train", "val", "test")}
    description = write_dataset(folder / "set", splits)
    cli.run(["params", "use", "own", "--data", str(description), "--no-timing"])
    assert load(Path("params.yaml")).train.epochs == 300
    assert "takes about" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["full", "--hours", "1"], "--hours and --no-timing are for the preset own"),
        (["own", "--hours", "1", "--no-timing"], "--hours needs the timing"),
    ],
)
def test_options_that_do_not_go_together(folder: Path, options: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}"):
        cli.run(["params", "use", *options])
    assert list(folder.iterdir()) == []


def test_data_that_cannot_be_trained_on_leave_the_parameters_alone(folder: Path) -> None:
    Path("params.yaml").write_text("# mine\n")
    alone = write_dataset(folder / "alone", {"train": {"a": BOX}})
    with pytest.raises(ValueError, match=r"no val split, which a training needs to choose the"):
        use_preset("own", alone)
    empty = write_dataset(folder / "empty", {"train": {"a": ""}, "val": {"b": BOX}})
    with pytest.raises(ValueError, match="no training image has a box: look at the label files"):
        use_preset("own", empty)
    with pytest.raises(ValueError, match="preset own is for an own data set: name it with --data"):
        use_preset("own", None)
    assert Path("params.yaml").read_text() == "# mine\n"
    assert not Path("params.yaml.bak").exists()


def test_a_large_data_set_is_looked_at_evenly(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "LOOKED_AT", 3)
    splits = {"train": {f"{i}": BOX for i in range(7)}, "val": {"v": BOX, "w": BOX}}
    found = look_at(read_description(write_dataset(folder / "set", splits)))
    assert found.images == {"train": 7, "val": 2}
    stems = [Path(image).stem for image in found.tables.images["image"]]
    assert stems == ["0", "2", "4", "v", "w"]


def test_blood_cells_get_the_recipe_that_was_measured_on_them(bccd: Path) -> None:
    found = look_at(read_description(bccd / "data.yaml"))
    params = choose(found, "cpu")
    assert params.model == OWN.model
    assert params.train == OWN.train
    assert choose(found, "cuda").model == ModelConfig(image_size=512, width=0.5)


@pytest.mark.slow
def test_the_estimate_is_what_a_training_takes(bccd: Path, tmp_path: Path) -> None:
    # by this process's own time, as what else the machine does is nothing to be estimated
    description = read_description(bccd / "data.yaml")
    found = look_at(description)
    chosen = choose(found, "cpu")
    params = replace(
        chosen, model=replace(chosen.model, image_size=256), train=with_epochs(chosen.train, 3)
    )
    said = measure(params, found.tables, description.root, time.process_time)
    inputs = TrainingInputs(
        tables=found.tables,
        root=description.root,
        anchors=((1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (4.0, 4.0), (5.0, 5.0)),
        model=params.model,
        train=params.train,
        machine=params.machine,
    )
    started = time.process_time()
    for _ in train_run(inputs, tmp_path / "run"):
        pass
    ratio = said.total(params.train, found.images) / (time.process_time() - started)
    assert 0.75 < ratio < 1.33
