"""Folders of new data: what the sensor starts a run for, and what stays for which run."""

import asyncio
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows.sensor import watch
from flows.steps.workspace import sole_pipeline
from tests.flows.programs import hanging, output, recorded, wait_for
from tests.flows.test_schedule import call, run_on_demand, state
from tests.flows.test_unattended import retrainings, run_retraining, start

Launch = Callable[..., subprocess.Popen[str]]
SEVERAL_LOOKS = 4.0
"""Seconds in which a sensor that looks twice in a second would have started a run."""


def arrive(workspace: Path, name: str, *files: str) -> Path:
    """A folder of new data with its mark; the mark."""
    folder = workspace / "data" / "incoming" / name
    folder.mkdir(parents=True)
    for file in files:
        (folder / file).touch()
    mark = folder.with_name(f"{name}.ready")
    mark.touch()
    return mark


def incoming(workspace: Path) -> list[str]:
    return sorted(path.name for path in (workspace / "data" / "incoming").iterdir())


def sensed(workspace: Path) -> list[str]:
    """States of the runs that the sensor has made, oldest first, begun or not."""
    query = "select state_name from flow_run where tags like '%new data%' order by created"
    return [str(name) for (name,) in recorded(workspace, query)]


def start_hanging_training(workspace: Path, launch: Launch) -> str:
    (workspace / "behaviour.txt").write_text("hang\n")
    start(workspace, launch)
    run = run_on_demand(workspace)
    wait_for(lambda: hanging(workspace), 300, workspace)
    return run


@pytest.mark.services
def test_data_that_arrive_during_a_training_are_taken_in_after_it(
    workspace: Path, launch: Launch
) -> None:
    training = start_hanging_training(workspace, launch)
    arrive(workspace, "may")
    time.sleep(SEVERAL_LOOKS)
    assert sensed(workspace) == []
    call(workspace, f"/flow_runs/{training}/set_state", {"state": {"type": "CANCELLING"}})
    wait_for(lambda: sensed(workspace) == ["Promoted"], 300, workspace)
    assert state(workspace, training)["name"] == "Cancelled"
    assert incoming(workspace) == []
    assert (workspace / "behaviour.txt").read_text() == "succeed with may"
    assert retrainings(workspace) == ["Promoted"]


@pytest.mark.services
def test_data_whose_run_found_the_folder_busy_get_another_run(
    workspace: Path, launch: Launch
) -> None:
    start(workspace, launch)
    mark = arrive(workspace, "may")
    wait_for(lambda: len(sensed(workspace)) == 1, 60, workspace)
    with sole_pipeline(workspace):  # from another terminal, before that run has begun
        wait_for(lambda: sensed(workspace) == ["Cancelled"], 300, workspace)
        time.sleep(SEVERAL_LOOKS)
        assert sensed(workspace) == ["Cancelled"]
        assert mark.exists()
    wait_for(lambda: sensed(workspace) == ["Cancelled", "Promoted"], 300, workspace)
    assert incoming(workspace) == []


@pytest.mark.services
def test_data_whose_run_died_are_taken_in_by_the_run_that_takes_it_up(
    workspace: Path, launch: Launch
) -> None:
    start(workspace, launch, take_ups=1)
    arrive(workspace, "may", "deadly")
    wait_for(lambda: retrainings(workspace) == ["Crashed", "Promoted"], 300, workspace)
    assert incoming(workspace) == []
    time.sleep(SEVERAL_LOOKS)
    assert sensed(workspace) == ["Crashed"]


@pytest.mark.services
def test_data_that_find_no_room_stay_for_the_next_run(workspace: Path, launch: Launch) -> None:
    (workspace / "full.txt").touch()
    process = start(workspace, launch)
    arrive(workspace, "may")
    wait_for(lambda: sensed(workspace) == ["Failed"], 300, workspace)
    ((said,),) = recorded(
        workspace,
        "select s.message from flow_run r join flow_run_state s on s.id = r.state_id"
        " where r.state_name = 'Failed'",
    )
    assert said == (
        f"{workspace}/data/incoming/may was not added, the next run tries it again:"
        " `pipeline data` failed with exit status 1: [Errno 28] No space left on device"
    )
    assert incoming(workspace) == ["may", "may.ready"]
    tries = recorded(workspace, "select state_name, run_count from task_run where name like 'add%'")
    assert tries == [("Failed", 1)]
    (workspace / "full.txt").unlink()
    time.sleep(SEVERAL_LOOKS)
    assert sensed(workspace) == ["Failed"]  # a person looks first
    run = run_retraining(workspace)
    wait_for(lambda: state(workspace, run)["name"] == "Promoted", 300, workspace)
    assert incoming(workspace) == []
    assert (workspace / "behaviour.txt").read_text() == "succeed with may"
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0, output(workspace)


def test_a_server_that_is_away_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "may").mkdir()
    (tmp_path / "may.ready").touch()

    async def look_for_a_while() -> None:
        async with asyncio.timeout(8):
            await watch("retraining/weekly", tmp_path, 0.2)

    away = {PREFECT_API_URL: "http://127.0.0.1:1/api", PREFECT_CLIENT_MAX_RETRIES: 0}
    with temporary_settings(away), pytest.raises(TimeoutError):
        asyncio.run(look_for_a_while())
    assert caplog.text.count("cannot look for new data") > 1
