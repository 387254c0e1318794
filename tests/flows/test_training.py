import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.steps.workspace import sole_pipeline
from tests.flows.programs import family, hanging, output, recorded, survivors, wait_for

MODULE = "flows.training"
Launch = Callable[..., subprocess.Popen[str]]


def training(workspace: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", MODULE],
        cwd=workspace,
        env=environment,
        capture_output=True,
        text=True,
    )


def test_second_run_is_refused_before_anything_starts(
    workspace: Path, environment: dict[str, str]
) -> None:
    with sole_pipeline(workspace):
        done = training(workspace, environment)
    assert done.returncode == 1
    assert done.stderr.startswith("error: another pipeline run (process ")
    assert not (workspace / ".prefect" / "prefect.db").exists()


def test_outside_a_repository_is_one_line(tmp_path: Path, environment: dict[str, str]) -> None:
    where = {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = training(tmp_path, environment | where)
    assert done.returncode == 1
    assert done.stderr == f"error: no dvc.yaml in {tmp_path}: run from the repository's root\n"


@pytest.mark.services
def test_flow_completes_then_finds_nothing_to_do_then_fails_in_one_line(
    workspace: Path, environment: dict[str, str]
) -> None:
    first = training(workspace, environment)
    assert first.returncode == 0, first.stderr
    assert first.stdout.endswith(
        "training completed: test AP 0.188, AP50 0.625; stages: 2 completed\n"
    )
    assert "Task run 'train' - trained" in first.stderr  # stage output is in Prefect's logs
    second = training(workspace, environment)
    assert second.returncode == 0, second.stderr
    assert "stages: 2 unchanged" in second.stdout
    (workspace / "behaviour.txt").write_text("fail\n")
    third = training(workspace, environment)
    assert third.returncode == 1
    last = third.stderr.splitlines()[-1]
    assert last == (
        "error: training ended as Failed: stage 'train' failed with exit status 255:"
        " labels/7.txt:3: class 99 is out of range: classes are 0 to 9"
    )
    assert "Traceback" not in third.stderr

    runs = recorded(workspace, "select state_name from flow_run order by created")
    assert runs == [("Completed",), ("Completed",), ("Failed",)]
    tasks = recorded(workspace, "select name, state_name from task_run order by created")
    assert tasks == [
        ("digits", "Completed"),
        ("train", "Completed"),
        ("register", "Completed"),
        ("digits", "Unchanged"),
        ("train", "Unchanged"),
        ("register", "Completed"),
        ("digits", "Unchanged"),
        ("train", "Failed"),
    ]
    shown = recorded(workspace, "select distinct key, type from artifact order by key")
    assert shown == [
        ("accuracy", "table"),
        ("accuracy-by-class", "table"),
        ("mlflow-runs", "markdown"),
    ]
    assert recorded(workspace, "select count(*) from log where message = 'trained'") == [(1,)]


@pytest.mark.services
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_killed_flow_leaves_a_checkpoint_and_no_process(
    workspace: Path, environment: dict[str, str], launch: Launch, number: int, status: int
) -> None:
    (workspace / "behaviour.txt").write_text("hang\n")
    process = launch(MODULE)
    wait_for(lambda: hanging(workspace), 300, workspace)
    processes = family(process)
    assert len(processes) >= 6  # two leashes, server, dvc, stage, the stage's child
    process.send_signal(number)
    assert process.wait(120) == status, output(workspace)
    assert survivors(processes, 90) == []
    assert (workspace / "checkpoint.txt").read_text() == "saved"

    (workspace / "behaviour.txt").write_text("succeed\n")
    assert training(workspace, environment).returncode == 0
    runs = recorded(workspace, "select state_name from flow_run order by created")
    assert runs == [("Crashed",), ("Completed",)]
