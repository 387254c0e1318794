"""Training into a run folder: exact, resumable, safe from a second trainer."""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.yolov2.scenes import squares
from yolov2.config.augment import AugmentConfig
from yolov2.config.machine import CheckpointConfig, MachineConfig
from yolov2.config.model import ModelConfig
from yolov2.config.train import LossConfig, MultiScaleConfig, TrainConfig
from yolov2.network.checkpoint import load_detector, read_checkpoint
from yolov2.runs.folder import locked
from yolov2.runs.inputs import TrainingInputs
from yolov2.runs.run import finished, train_run
from yolov2.training.nonfinite import NonFiniteLossError
from yolov2.training.reports import EpochReport, Event

ANCHORS = ((0.6, 0.6), (1.0, 1.0))
MACHINE = MachineConfig(
    device="cpu", num_workers=0, log_every=2, checkpoint=CheckpointConfig(every_steps=1)
)


def inputs(root: Path, **settings: object) -> TrainingInputs:
    """Of a small training; ``settings`` are fields of ``TrainConfig``, or of ``MachineConfig``."""
    own = {name: settings.pop(name) for name in list(settings) if hasattr(MACHINE, name)}
    recipe = {
        "epochs": 4, "batch_size": 4, "lr": 0.01, "lr_steps": (3,), "warmup_epochs": 0.5,
        "validate_every": 2, "multi_scale": MultiScaleConfig(every=0), "amp": "off",
        "augment": AugmentConfig(mosaic=0.5, mixup=0.3, mosaic_off_epochs=1),
    }  # fmt: skip
    return TrainingInputs(
        tables=squares(root),
        root=root,
        anchors=ANCHORS,
        model=ModelConfig(image_size=64, width=0.125),
        train=TrainConfig(**(recipe | settings)),  # type: ignore[arg-type]
        machine=replace(MACHINE, **own),  # type: ignore[arg-type]
    )


def epochs(events: Iterable[Event]) -> Iterator[EpochReport]:
    return (event for event in events if isinstance(event, EpochReport))


def weights(path: Path) -> torch.Tensor:
    return torch.cat([t.flatten().double() for t in read_checkpoint(path)["model"].values()])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingInputs]:
    """An uninterrupted training."""
    root = tmp_path_factory.mktemp("whole")
    given = inputs(root)
    list(train_run(given, root / "run"))
    return root / "run", given


def test_a_run_folder_is_complete(whole: tuple[Path, TrainingInputs]) -> None:
    folder, given = whole
    history = pd.read_csv(folder / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    assert history["step"].tolist() == [2, 4, 6, 8]
    assert history["AP"].notna().tolist() == [False, True, False, True]
    assert history["lr"].tolist() == pytest.approx([0.01, 0.01, 0.01, 0.001])
    total = history[["coord", "objectness", "class"]].sum(axis=1)
    assert history["loss"].tolist() == pytest.approx(total.tolist(), rel=1e-5)
    assert finished(folder, given.fingerprint())
    assert not finished(folder, given.fingerprint("other code"))
    assert json.loads((folder / "parameters.json").read_text())["train"]["lr"] == 0.01
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["packages"]["torch"]
    assert environment["packages"]["yolov2-pipeline"] == version("yolov2-pipeline")
    assert environment["number_format"] == "off"
    assert load_detector(folder / "best.pt").class_names == ("red", "blue")


def test_two_runs_give_identical_weights(
    whole: tuple[Path, TrainingInputs], tmp_path: Path
) -> None:
    given = inputs(tmp_path)
    list(train_run(given, tmp_path / "again"))
    assert torch.equal(weights(whole[0] / "last.pt"), weights(tmp_path / "again" / "last.pt"))
    hashes = [json.loads((f / "hashes.json").read_text()) for f in (whole[0], tmp_path / "again")]
    assert hashes[0] == hashes[1]


def test_a_killed_training_resumes_to_identical_weights(
    whole: tuple[Path, TrainingInputs], tmp_path: Path
) -> None:
    given, folder = inputs(tmp_path), tmp_path / "run"
    interrupted = train_run(given, folder)
    reports = epochs(interrupted)
    assert [next(reports).epoch, next(reports).epoch] == [1, 2]
    interrupted.close()
    assert not finished(folder, given.fingerprint())
    assert [report.epoch for report in epochs(train_run(given, folder, resume=True))] == [3, 4]
    assert torch.equal(weights(whole[0] / "last.pt"), weights(folder / "last.pt"))
    assert (folder / "history.csv").read_bytes() == (whole[0] / "history.csv").read_bytes()


def test_another_recipe_does_not_resume(tmp_path: Path) -> None:
    next(epochs(train_run(inputs(tmp_path), tmp_path / "run")))
    with pytest.raises(ValueError, match="trained with other data, settings or code"):
        next(train_run(inputs(tmp_path, lr=0.02), tmp_path / "run", resume=True))
    with pytest.raises(ValueError, match="already holds a training: go on with it"):
        next(epochs(train_run(inputs(tmp_path), tmp_path / "run")))


def test_where_it_runs_is_not_part_of_the_fingerprint(tmp_path: Path) -> None:
    plain = inputs(tmp_path).fingerprint()
    elsewhere = MachineConfig(
        device="auto",
        threads=3,
        num_workers=3,
        cache="ram",
        log_every=7,
        checkpoint=CheckpointConfig(every_minutes=1, every_steps=2, keep=3),
    )
    assert [name for name, value in vars(elsewhere).items() if value == vars(MACHINE)[name]] == []
    assert inputs(tmp_path, **vars(elsewhere)).fingerprint() == plain
    assert inputs(tmp_path, seed=1).fingerprint() != plain


@pytest.mark.parametrize(
    "setting",
    [{"devices": 2}, {"sync_batch_norm": True}, {"amp": "bf16"}, {"tf32": False},
     {"compile": True}, {"channels_last": False}, {"augment": AugmentConfig(augment_on="device")}],
)  # fmt: skip
def test_what_decides_the_last_bit_is_part_of_the_fingerprint(
    tmp_path: Path, setting: dict[str, object]
) -> None:
    plain: dict[str, object] = {"augment": AugmentConfig()}
    changed = inputs(tmp_path, **(plain | setting))
    assert changed.fingerprint() != inputs(tmp_path, **plain).fingerprint()


def test_loader_workers_do_not_change_the_result(
    whole: tuple[Path, TrainingInputs], tmp_path: Path
) -> None:
    list(train_run(inputs(tmp_path, num_workers=2), tmp_path / "run"))
    assert torch.equal(weights(whole[0] / "last.pt"), weights(tmp_path / "run" / "last.pt"))


def test_a_second_trainer_is_kept_off(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from yolov2.runs.folder import locked\n"
        f"with locked(Path({str(tmp_path)!r})):\n print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(ValueError, match=rf"another training \(process {holder.pid}\)"),
            locked(tmp_path),
        ):
            pass
        holder.kill()
        holder.wait()
    with locked(tmp_path):  # the lock died with its process
        pass


def test_exploding_loss_names_the_images(tmp_path: Path) -> None:
    given = inputs(tmp_path, lr=1e30, warmup_epochs=0.0, loss=LossConfig())
    with pytest.raises(NonFiniteLossError, match=r"the loss became .*images/train/\d.png"):
        list(train_run(given, tmp_path / "run"))


def test_data_without_a_validation_split_keeps_the_newest(tmp_path: Path) -> None:
    given = inputs(tmp_path, epochs=1)
    only_train = given.tables.images["split"] == "train"
    tables = type(given.tables)(
        images=given.tables.images[only_train],
        labels=given.tables.labels[given.tables.labels["split"] == "train"],
        class_names=given.tables.class_names,
    )
    lone = TrainingInputs(
        tables=tables,
        root=tmp_path,
        anchors=ANCHORS,
        model=given.model,
        train=given.train,
        machine=given.machine,
    )
    reports = list(epochs(train_run(lone, tmp_path / "run")))
    assert reports[-1].validation is None
    assert reports[-1].is_best
    assert (tmp_path / "run" / "best.pt").exists()
