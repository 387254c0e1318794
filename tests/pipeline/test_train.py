"""The stage ``train`` and its recorder: followed, interrupted, taken up again, not repeated."""

import errno
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pytest

from pipeline import cli, paths, train
from pipeline.checkpoints import CHECKPOINTS, RECORDING, forget_old_trainings
from pipeline.running import failure, recorder
from tests.pipeline import tracked
from tests.pipeline.recorders import kill_recorder, locked, until
from tests.pipeline.small_training import (
    STORE,
    checkpoint_folder,
    make_workspace,
    open_store,
    output,
    start,
    steps,
    stored_runs,
    twice,
)
from yolov2.network.checkpoint import read_checkpoint
from yolov2.training.nonfinite import NonFiniteLossError


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """What a stage in this process has started; the test ends when all of them have."""
    started: list[subprocess.Popen[bytes]] = []
    start = recorder._start

    def start_and_keep(*given: Any, **pipes: Any) -> "subprocess.Popen[bytes]":
        started.append(start(*given, **pipes))
        return started[-1]

    monkeypatch.setattr(recorder, "_start", start_and_keep)
    yield started
    for each in started:
        each.wait(400)


@pytest.fixture
def workspace(
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    programs: list["subprocess.Popen[bytes]"],
) -> Path:
    """The current folder, in which the stages before ``train`` have run."""
    monkeypatch.setenv("DVC_ROOT", str(repository))
    return make_workspace(repository, {})


def interrupt(*given: object) -> str:
    raise KeyboardInterrupt


def test_a_training_is_followed_and_taken_when_it_is_complete(workspace: Path) -> None:
    printed, errors = output(start(workspace))
    assert errors == ""
    assert printed.count("epoch ") == 3
    ((run_id, status),) = stored_runs(STORE).items()
    assert status == "FINISHED"
    assert steps(run_id, "train/loss") == [1, 2, 3]
    assert steps(run_id, "val/AP") == [2, 3]
    stored = tracked.files(open_store(), run_id, "training")
    names = ("best.pt", "last.pt", "history.csv", "speed.csv", "curves.png")
    names += ("preview.png", "environment.json", "parameters.json")
    assert stored == {f"training/{name}" for name in names}
    run = open_store().client.get_run(run_id)
    known = json.loads(paths.TRAINING.read_text())
    assert run.data.tags["dvc.key"] == known["key"]
    assert run.data.tags["weights_sha256"] == known["weights"]
    assert run.data.tags["mlflow.source.name"].endswith("-m pipeline.train")
    place = open_store().client.download_artifacts(run_id, "identity/identity.json")
    identity = json.loads(Path(place).read_text())
    assert identity["hardware"]["threads"] == "1"
    assert identity["versions"]["mlflow"]
    assert run.data.params["machine.num_workers"] == "0"

    before = paths.BEST.read_bytes()
    paths.BEST.unlink()
    printed, _ = output(start(workspace))  # nothing is trained or logged again
    assert "this training is complete in" in printed
    assert paths.BEST.read_bytes() == before
    assert stored_runs(STORE) == {run_id: "FINISHED"}
    assert twice(run_id) == []


def test_interrupted_before_the_first_validation_it_goes_on_in_the_same_run(
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    programs: list["subprocess.Popen[bytes]"],
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(train, "epoch_line", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train.main()
    programs[-1].wait(400)  # the recorder, which a stage that is to end hardly waits for
    assert not paths.BEST.exists()
    ((run_id, status),) = stored_runs(STORE).items()
    assert status == "KILLED"
    assert steps(run_id, "train/loss") == [1]  # what it had learnt it also told

    train.main()
    assert stored_runs(STORE) == {run_id: "FINISHED"}
    assert steps(run_id, "train/loss") == [1, 2, 3]
    assert steps(run_id, "val/AP") == [2, 3]
    assert steps(run_id, "train/images_per_second") == [1, 2, 3]
    assert pd.read_csv(paths.HISTORY)["epoch"].tolist() == [1, 2, 3]
    assert all(path.is_file() for path in (paths.BEST, paths.LAST))


def test_a_store_that_is_away_at_the_end_gets_all_later(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    epoch_line, away = train.epoch_line, ExitStack()

    def then_away(report: Any) -> str:
        if report.epoch == 2:
            until((checkpoint_folder(workspace) / RECORDING / recorder.RUN).exists)
            away.enter_context(locked(STORE))
        return epoch_line(report)

    monkeypatch.setattr(recorder, "PATIENCE", 3.0)
    monkeypatch.setattr(train, "epoch_line", then_away)
    with away:
        train.main()
        kill_recorder(os.getpid())  # it would go on trying
    assert paths.BEST.exists()
    said = capfd.readouterr()
    assert said.out.count("epoch ") == 3
    folder = checkpoint_folder(workspace)
    assert said.err.splitlines()[-1] == (
        f"not all is in MLflow yet; it waits in {folder / RECORDING}: `pipeline track send` sends"
        " it, and so does the next stage"
    )
    ((run_id, status),) = stored_runs(STORE).items()
    assert status == "RUNNING"
    forget_old_trainings(Path("another"))
    assert cli.run(["track", "send"]) == 0
    assert capfd.readouterr().out == f"train: sent what {folder / RECORDING} held\n"
    assert cli.run(["track", "send"]) == 0
    assert capfd.readouterr().out == "nothing waits to be sent\n"
    assert stored_runs(STORE) == {run_id: "FINISHED"}
    assert steps(run_id, "train/loss") == [1, 2, 3]
    assert twice(run_id) == []
    assert "training/best.pt" in tracked.files(open_store(), run_id, "training")


def test_a_store_that_is_away_before_is_said_in_seconds(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("DVC_STAGE", "train")
    _, errors = output(start(workspace), status=1)
    assert errors.startswith(
        "error: the MLflow server http://127.0.0.1:9 cannot be reached (", 0
    ), errors
    assert errors.count("\n") == 1
    left = failure.read("train", workspace)
    assert left is not None
    assert left.kind == "passing"
    assert left.message in errors
    assert not (workspace / "checkpoints").exists()


def test_a_store_that_cannot_be_used_is_no_passing_failure(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "./mlruns")
    monkeypatch.setenv("DVC_STAGE", "train")
    _, errors = output(start(workspace), status=1)
    assert "is the folder './mlruns', which MLflow no longer writes to" in errors
    left = failure.read("train", workspace)
    assert left is not None
    assert left.kind == "input"


def test_a_training_that_fails_leaves_a_failed_run(
    workspace: Path, programs: list["subprocess.Popen[bytes]"]
) -> None:
    text = paths.PARAMS.read_text()
    for old, new in (("lr: 0.003", "lr: 1e+30"), ("warmup_epochs: 1.0", "warmup_epochs: 0.0")):
        text = text.replace(old, new)
    paths.PARAMS.write_text(text)
    with pytest.raises(NonFiniteLossError):
        train.main()
    programs[-1].wait(400)
    assert list(stored_runs(STORE).values()) == ["FAILED"]
    assert not paths.TRAINING.exists()


def test_a_training_that_mlflow_lacks_is_not_forgotten(tmp_path: Path) -> None:
    for age, name in enumerate(("lacking", "older", "old", "b", "c", "d")):
        tracked.write_json(tmp_path / name / "hashes.json")
        tracked.write_json(tmp_path / name / RECORDING / recorder.START, began=2.0)
        if name != "lacking":
            # what was sent of an earlier start of the stage is not all
            began = 1.0 if name == "older" else 2.0
            tracked.write_json(tmp_path / name / RECORDING / recorder.SENT, began=began)
        os.utime(tmp_path / name / "hashes.json", (age, age))
    forget_old_trainings(tmp_path / "d")
    left = {folder.name for folder in tmp_path.iterdir()}
    assert left == {"lacking", "older", "b", "c", "d"}


def test_a_missing_split_is_said_before_the_training(workspace: Path) -> None:
    text = paths.PARAMS.read_text()
    paths.PARAMS.write_text(text.replace("split: val", "split: test"))
    with pytest.raises(ValueError, match=r"no test split .* `-S evaluate.split=val`"):
        train.main()
    assert not (workspace / CHECKPOINTS).exists()


def read_until(printed: IO[str] | None, start: str) -> None:
    assert printed is not None
    said = []
    for line in printed:
        said.append(line)
        if line.startswith(start):
            return
    raise AssertionError(f"never said {start!r}: {said}")


def test_sigterm_ends_in_good_order_and_is_gone_on_from(repository: Path) -> None:
    settings = {"machine.checkpoint.every_minutes": 1e6, "machine.log_every": 10}
    make_workspace(repository, settings | {"machine.num_workers": 1}, images=80)
    with start(repository) as stage:
        read_until(stage.stdout, "epoch 1/3")
        time.sleep(0.2)
        os.killpg(stage.pid, signal.SIGTERM)  # its loader worker too, as Prefect and DVC do
        _, errors = output(stage, status=143)
    assert errors.splitlines()[-1] == "terminated"
    folder = checkpoint_folder(repository)
    until(lambda: recorder.is_sent(folder / RECORDING))
    ((run_id, status),) = stored_runs(STORE).items()
    assert status == "KILLED"
    assert steps(run_id, "train/loss") == [1]
    (checkpoint,) = folder.glob("step-*.pt")  # the signal's is the only one
    at = read_checkpoint(checkpoint)["training"]["at"]
    assert at["epoch"] == 1
    assert at["step"] == 20 + at["position"] // 4 > 20

    output(start(repository))
    assert stored_runs(STORE) == {run_id: "FINISHED"}
    assert steps(run_id, "train/loss") == [1, 2, 3]
    assert steps(run_id, "train/images_per_second") == [1, 2, 3]
    assert steps(run_id, "step/loss") == [10, 20, 30, 40, 50, 60]


@pytest.mark.usefixtures("unrecorded")
def test_a_training_ends_where_no_recorder_can_be_started(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    does_nothing = recorder._start

    def start(module: str, *given: str, **pipes: Any) -> "subprocess.Popen[bytes]":
        if module == "pipeline.tracking.follow":
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        return does_nothing(module, *given, **pipes)

    monkeypatch.setattr(recorder, "_start", start)
    train.main()
    assert paths.TRAINING.exists()
    said = capsys.readouterr().err
    assert "this cannot be recorded: [Errno 12] Cannot allocate memory\n" in said
    assert f"it waits in {checkpoint_folder(workspace) / RECORDING}" in said


@pytest.mark.usefixtures("unrecorded")
def test_an_edit_while_results_are_copied_leaves_the_stage_stale(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "dvc.yaml").write_text(json.dumps({"stages": {"train": {"params": ["train.lr"]}}}))

    def then_edit(*given: Any) -> None:
        text = paths.PARAMS.read_text()
        paths.PARAMS.write_text(text.replace("lr: 0.003", "lr: 0.01"))

    monkeypatch.setattr(train, "_train", lambda *given, **named: None)
    monkeypatch.setattr(train, "_publish", then_edit)
    with pytest.raises(ValueError, match=r"train ran: params.yaml: train.lr 0.003, now 0.01"):
        train.main()


def test_what_is_edited_meanwhile_is_not_what_was_trained(repository: Path) -> None:
    make_workspace(repository, {"train.epochs": 3}, images=80)
    stage_file = {"deps": ["artifacts/labels.parquet"], "params": ["model", "train"]}
    (repository / "dvc.yaml").write_text(json.dumps({"stages": {"train": stage_file}}))
    before = paths.PARAMS.read_text()
    with start(repository) as stage:
        read_until(stage.stdout, "epoch 2/3")
        paths.PARAMS.write_text(before.replace("lr: 0.003", "lr: 0.01"))
        _, errors = output(stage, status=1)
    assert errors.startswith(
        "error: changed while the stage train ran: params.yaml: train.lr 0.003, now 0.01. What it"
        " computed belongs to the old state, so the stage stays stale"
    )
    assert errors.count("\n") == 1
    assert not paths.TRAINING.exists()
    assert not paths.BEST.exists()
    folder = checkpoint_folder(repository)
    assert (folder / "hashes.json").exists()  # the finished work is kept
    ((run_id, status),) = stored_runs(STORE).items()
    assert status == "FINISHED"  # and it is what its run says
    assert open_store().client.get_run(run_id).data.params["train.lr"] == "0.003"

    paths.PARAMS.write_text(before)
    printed, _ = output(start(repository))
    assert "epoch" not in printed
    assert f"this training is complete in {folder}: taking its result" in printed
    assert json.loads(paths.TRAINING.read_text())["parameters"]["train"]["lr"] == 0.003
    assert stored_runs(STORE) == {run_id: "FINISHED"}
