"""The stage ``train``, its recorder, or both killed: nothing is lost, nothing is told twice."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline import paths
from pipeline.checkpoints import RECORDING
from pipeline.running import recorder
from tests.pipeline import tracked
from tests.pipeline.recorders import kill_recorder, recorder_of, until
from tests.pipeline.small_training import (
    STORE,
    checkpoint_folder,
    make_workspace,
    open_store,
    output,
    start,
    steps,
    stored_figures,
    stored_runs,
    twice,
)

SAVED_OFTEN: dict[str, Any] = {
    "train.validate_every": 3,
    "machine.log_every": 5,
    "machine.checkpoint.every_steps": 5,
}
IMAGES = 60
ALL_STEPS = list(range(5, 46, 5))


def hold_until_followed(stage: "subprocess.Popen[str]", root: Path) -> None:
    """Stop a training that has saved something until MLflow has it: some is still to come."""

    def is_followed() -> bool:
        runs = stored_runs(root / "mlflow.db")
        return any(stored_figures(root / "mlflow.db", run_id) for run_id in runs)

    until(lambda: [*(root / "checkpoints").glob("*/steps.csv")])
    stage.send_signal(signal.SIGSTOP)
    until(is_followed)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """The folder of the training that nobody disturbs."""
    root = make_workspace(tmp_path_factory.mktemp("whole"), SAVED_OFTEN, images=IMAGES)
    (root / "mlflow.db").write_bytes(empty_store.read_bytes())
    output(start(root))
    return root


def test_a_killed_stage_leaves_a_run_that_goes_on(repository: Path, undisturbed: Path) -> None:
    make_workspace(repository, SAVED_OFTEN, images=IMAGES)
    with start(repository) as stage:
        hold_until_followed(stage, repository)
        left = recorder_of(stage.pid)
        assert left is not None
        stage.kill()
        stage.communicate()
    until(lambda: not left.is_running())
    ((run_id, status),) = stored_runs(STORE).items()
    assert status == "KILLED"
    folder = checkpoint_folder(repository)
    saved = pd.read_csv(folder / "steps.csv")["step"].tolist()
    assert saved != ALL_STEPS
    assert steps(run_id, "step/loss") == saved  # all that was safe on disk
    assert (folder / RECORDING / recorder.SENT).exists()

    output(start(repository))
    assert stored_runs(STORE) == {run_id: "FINISHED"}
    assert steps(run_id, "step/loss") == ALL_STEPS
    assert twice(run_id) == []
    assert paths.TRAINING.read_bytes() == (undisturbed / paths.TRAINING).read_bytes()


def test_a_killed_recorder_is_started_again(repository: Path, undisturbed: Path) -> None:
    make_workspace(repository, SAVED_OFTEN, images=IMAGES)
    with start(repository) as stage:
        hold_until_followed(stage, repository)
        kill_recorder(stage.pid)
        stage.send_signal(signal.SIGCONT)
        until(lambda: recorder_of(stage.pid) is not None or stage.poll() is not None)
        kill_recorder(stage.pid)  # and its successor, whatever it was about to do
        output(stage)
    ((run_id, status),) = stored_runs(STORE).items()
    assert status == "FINISHED"
    assert steps(run_id, "train/loss") == [1, 2, 3]
    assert steps(run_id, "step/loss") == ALL_STEPS
    assert twice(run_id) == []
    assert "training/best.pt" in tracked.files(open_store(), run_id, "training")
    assert paths.TRAINING.read_bytes() == (undisturbed / paths.TRAINING).read_bytes()


def test_stage_and_recorder_killed_together_are_taken_up(
    repository: Path, undisturbed: Path
) -> None:
    make_workspace(repository, SAVED_OFTEN, images=IMAGES)
    with start(repository) as stage:
        hold_until_followed(stage, repository)
        os.killpg(stage.pid, signal.SIGKILL)
        stage.communicate()
    assert list(stored_runs(STORE).values()) == ["RUNNING"]
    with start(repository) as stage:  # again, before the recorder knows which run is its own
        until(lambda: recorder_of(stage.pid) is not None)
        os.killpg(stage.pid, signal.SIGKILL)
        stage.communicate()
    output(start(repository))
    ((run_id, status),) = stored_runs(STORE).items()
    assert status == "FINISHED"
    assert steps(run_id, "step/loss") == ALL_STEPS
    assert twice(run_id) == []
    assert paths.TRAINING.read_bytes() == (undisturbed / paths.TRAINING).read_bytes()


def test_no_output_of_dvc_knows_a_run_or_the_machine(repository: Path, undisturbed: Path) -> None:
    make_workspace(repository, SAVED_OFTEN | {"machine.log_every": 1}, images=IMAGES)
    output(start(repository))
    (run_id,) = stored_runs(STORE)
    for file in (paths.TRAINING, paths.BEST, paths.LAST, paths.HISTORY):
        content = file.read_bytes()
        assert run_id.encode() not in content
        assert content == (undisturbed / file).read_bytes()
