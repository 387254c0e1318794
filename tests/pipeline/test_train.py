"""The stage ``train``: interrupted, taken up again, and not repeated."""

import json
import os
import signal
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import IO

import pandas as pd
import pytest

from pipeline import paths, train
from pipeline.checkpoints import forget_old_trainings
from pipeline.tracking.address import TrackingError
from pipeline.tracking.delivery import Delivery
from pipeline.tracking.store import Store
from tests.pipeline import tracked
from tests.pipeline.small_training import (
    checkpoint_folder,
    make_workspace,
    start_stage,
    stored_figures,
    stored_runs,
)
from yolov2.network.checkpoint import read_checkpoint


@pytest.fixture
def workspace(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in which the stages before ``train`` have run."""
    monkeypatch.setenv("DVC_ROOT", str(repository))
    return make_workspace(repository, {})


def steps(run_id: str, curve: str) -> list[int]:
    """The steps of a curve, as often as it has them."""
    figures = stored_figures(Path("mlflow.db"), run_id)
    return [step for name, step, _ in figures if name == curve]


def interrupt(*given: object) -> str:
    raise KeyboardInterrupt


def test_killed_before_the_first_validation_it_goes_on_in_the_same_run(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(train, "describe", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train.main()
    assert not paths.BEST.exists()
    folder = checkpoint_folder(workspace)
    run_id = json.loads((folder / train.RUN).read_text())["run_id"]
    assert stored_runs(Path("mlflow.db")) == {run_id: "KILLED"}
    assert steps(run_id, "train/loss") == [1]  # what it had learnt it also told

    train.main()
    assert json.loads(paths.TRAIN_RUN.read_text())["run_id"] == run_id
    assert stored_runs(Path("mlflow.db")) == {run_id: "FINISHED"}
    assert steps(run_id, "train/loss") == [1, 2, 3]
    assert steps(run_id, "val/AP") == [2, 3]
    assert steps(run_id, "train/images_per_second") == [1, 2, 3]
    assert pd.read_csv(paths.HISTORY)["epoch"].tolist() == [1, 2, 3]
    assert all(path.is_file() for path in (paths.BEST, paths.LAST))
    stored = tracked.files(open_store(), run_id, "training")
    names = ("best.pt", "last.pt", "history.csv", "speed.csv", "curves.png", "preview.png")
    assert {f"training/{name}" for name in names} <= stored

    before = paths.BEST.read_bytes()
    paths.BEST.unlink()
    train.main()  # complete: its result is taken, nothing is trained or logged again
    assert paths.BEST.read_bytes() == before
    assert steps(run_id, "train/loss") == [1, 2, 3]


def open_store() -> Store:
    return tracked.connect("yolov2")


def test_cut_off_before_the_first_checkpoint_it_goes_on_in_the_same_run(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(train, "contact_sheet", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train.main()
    assert list(stored_runs(Path("mlflow.db")).values()) == ["KILLED"]
    train.main()
    assert list(stored_runs(Path("mlflow.db")).values()) == ["FINISHED"]


def test_a_store_that_is_away_at_the_end_gets_all_later(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away(self: Store, *given: object) -> None:
        raise TrackingError("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(train, "Delivery", partial(Delivery, wait=lambda seconds: None))
        patch.setattr(Store, "log_files", away)
        with pytest.raises(
            TrackingError,
            match=r"^the training is kept in \S+/checkpoints/\w+, but its figures could not be"
            r" sent: the store is away. Run the stage again when the store answers: it will send"
            r" them and not train again$",
        ):
            train.main()
    said = capsys.readouterr()
    assert said.err.count("the store is away; training goes on, figures wait in ") == 1
    assert said.out.count("epoch 3/3") == 1
    ((run_id, status),) = stored_runs(Path("mlflow.db")).items()
    assert status == "FAILED"
    forget_old_trainings(Path("another"))
    train.main()
    assert "epoch" not in capsys.readouterr().out
    assert stored_runs(Path("mlflow.db")) == {run_id: "FINISHED"}
    assert steps(run_id, "train/loss") == [1, 2, 3]
    assert "training/best.pt" in tracked.files(open_store(), run_id, "training")


def test_a_training_that_mlflow_lacks_is_not_forgotten(tmp_path: Path) -> None:
    for age, name in enumerate(("lacking", "old", "b", "c", "d")):
        tracked.write_json(tmp_path / name / "hashes.json")
        record = {} if name == "lacking" else {"logged": True}
        tracked.write_json(tmp_path / name / "train_run.json", **record)
        os.utime(tmp_path / name / "hashes.json", (age, age))
    forget_old_trainings(tmp_path / "d")
    assert {folder.name for folder in tmp_path.iterdir()} == {"lacking", "b", "c", "d"}


def test_a_missing_split_is_said_before_the_training(workspace: Path) -> None:
    text = paths.PARAMS.read_text()
    paths.PARAMS.write_text(text.replace("split: val", "split: test"))
    with pytest.raises(ValueError, match=r"no test split .* `-S evaluate.split=val`"):
        train.main()
    assert not train.checkpoint_root().exists()


def read_until(output: IO[str] | None, start: str) -> None:
    assert output is not None
    said = []
    for line in output:
        said.append(line)
        if line.startswith(start):
            return
    raise AssertionError(f"never said {start!r}: {said}")


def test_sigterm_ends_in_good_order_and_is_gone_on_from(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"train.checkpoint.every_minutes": 1e6, "train.log_every": 10}
    make_workspace(repository, settings | {"train.num_workers": 1}, images=80)
    with start_stage(repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as stage:
        read_until(stage.stdout, "epoch 1/3")
        time.sleep(0.2)
        os.killpg(stage.pid, signal.SIGTERM)  # its loader worker too, as Prefect and DVC do
        _, errors = stage.communicate(timeout=60)
    assert stage.returncode == 143, errors
    assert errors == "terminated\n"
    ((run_id, status),) = stored_runs(repository / "mlflow.db").items()
    assert status == "KILLED"
    assert steps(run_id, "train/loss") == [1]
    folder = checkpoint_folder(repository)
    (checkpoint,) = folder.glob("step-*.pt")  # the signal's is the only one
    at = read_checkpoint(checkpoint)["training"]["at"]
    assert at["epoch"] == 1
    assert at["step"] == 20 + at["position"] // 4 > 20

    monkeypatch.setenv("DVC_ROOT", str(repository))
    train.main()
    assert stored_runs(repository / "mlflow.db") == {run_id: "FINISHED"}
    assert steps(run_id, "train/loss") == [1, 2, 3]
    assert steps(run_id, "train/images_per_second") == [1, 2, 3]
    assert steps(run_id, "step/loss") == [10, 20, 30, 40, 50, 60]
