"""Runs that nobody started, and the one question that a person is asked."""

import asyncio
import re
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from flows.server.unattended import missed
from flows.steps.incoming import arrived
from pipeline.params.flows import ScheduleConfig
from tests.flows.programs import family, hanging, output, recorded, wait_for
from tests.flows.test_retraining import Webhook, webhook
from tests.flows.test_schedule import MODULE, call, run_on_demand, served, state

__all__ = ["webhook"]
Launch = Callable[..., subprocess.Popen[str]]
MONDAYS = ScheduleConfig(cron="0 3 * * 1", timezone="Europe/Berlin")


def test_missed_is_the_first_time_between_the_last_run_and_now() -> None:
    def first(last: datetime, now: datetime) -> datetime | None:
        return asyncio.run(missed(MONDAYS, last, now))

    monday = datetime(2026, 3, 30, 1, tzinfo=UTC)  # 03:00 in Berlin, a day into summer time
    assert first(datetime(2026, 3, 29, tzinfo=UTC), monday) == monday
    assert first(datetime(2026, 3, 29, tzinfo=UTC), monday.replace(hour=0)) is None
    assert first(monday, datetime(2026, 4, 5, tzinfo=UTC)) is None
    assert first(monday, datetime(2026, 5, 5, tzinfo=UTC)) == datetime(2026, 4, 6, 1, tzinfo=UTC)


def test_arrived_are_the_folders_with_a_mark(tmp_path: Path) -> None:
    for name in ("b", "a", "unmarked"):
        (tmp_path / name).mkdir()
    for name in ("b", "a", "vanished"):
        (tmp_path / f"{name}.ready").touch()
    assert arrived(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert arrived(tmp_path / "none") == []


def start(workspace: Path, launch: Launch, **flows: object) -> subprocess.Popen[str]:
    settings = {"retry_seconds": 1} | flows
    lines = "".join(f"  {name}: {value}\n" for name, value in settings.items())
    (workspace / "params.yaml").write_text(f"flows:\n{lines}schedule: {{poll_seconds: 0.5}}\n")
    (workspace / ".prefect" / "server.address").unlink(missing_ok=True)
    process = launch(MODULE, "--port", "0")
    wait_for(lambda: "Prefect's pages" in output(workspace), 300, workspace)
    wait_for(lambda: served(workspace), 300, workspace)
    return process


def run_retraining(workspace: Path) -> str:
    deployment = call(workspace, "/deployments/name/retraining/weekly")["id"]
    return str(call(workspace, f"/deployments/{deployment}/create_flow_run", {})["id"])


def retrainings(workspace: Path) -> list[str]:
    """States of the retraining runs that have started, oldest first."""
    query = (
        "select r.state_name from flow_run r join flow f on f.id = r.flow_id"
        " where f.name = 'retraining' and r.start_time is not null order by r.start_time"
    )
    return [str(name) for (name,) in recorded(workspace, query)]


@pytest.mark.services
@pytest.mark.parametrize(
    ("answer", "end", "options"),
    [
        ({"promote": True, "by": "ann"}, "Promoted", "--version 1 --by ann"),
        ({"promote": False, "reason": "odd"}, "Declined", "--version 1 --decline odd"),
    ],
)
def test_a_run_waits_for_a_person_without_a_process(
    workspace: Path, launch: Launch, answer: dict[str, object], end: str, options: str
) -> None:
    start(workspace, launch, approval="true")
    run = run_retraining(workspace)
    wait_for(lambda: state(workspace, run)["name"] == "Suspended", 300, workspace)
    assert not (workspace / "decided.txt").exists()
    again = run_retraining(workspace)  # the folder and the deployment are free meanwhile
    wait_for(lambda: state(workspace, again)["name"] == "Suspended", 300, workspace)
    told = call(workspace, f"/flow_runs/{run}/resume", {"run_input": answer})
    assert told["status"] == "ACCEPT", told
    wait_for(lambda: state(workspace, run)["name"] == end, 300, workspace)
    assert (workspace / "decided.txt").read_text() == options
    tries = recorded(workspace, "select count(*) from task_run where name = 'train'")
    assert tries == [(3,)]  # once to train, twice to find that nothing had to be done


@pytest.mark.services
def test_a_question_that_nobody_answers_is_asked_again(
    workspace: Path, launch: Launch, environment: dict[str, str], webhook: Webhook
) -> None:
    environment["PIPELINE_NOTIFY"] = webhook.address
    start(workspace, launch, approval="true", approval_hours=0.01)
    first = run_retraining(workspace)
    wait_for(lambda: state(workspace, first)["name"] == "Suspended", 300, workspace)
    wait_for(lambda: state(workspace, first)["type"] == "FAILED", 120, workspace)
    assert "never resumed" in state(workspace, first)["message"]
    assert not (workspace / "decided.txt").exists()
    again = run_retraining(workspace)
    wait_for(lambda: state(workspace, again)["name"] == "Suspended", 300, workspace)
    told = [one["message"] for one in webhook.told]
    assert len(told) == 2
    for run, text in zip((first, again), told, strict=True):
        found = re.search(rf"/flow-run/{run}\) before (.+) UTC, or at any time: `(.+)`$", text)
        assert found, text
        until = datetime.strptime(found[1], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
        assert abs(until - datetime.now(UTC)) < timedelta(minutes=5)
        assert found[2] == "pipeline promote --version 1"


@pytest.mark.services
def test_a_run_that_is_to_wait_begins_when_the_other_has_ended(
    workspace: Path, launch: Launch
) -> None:
    (workspace / "behaviour.txt").write_text("hang\n")
    start(workspace, launch, if_busy="wait")
    first = run_on_demand(workspace)
    wait_for(lambda: hanging(workspace), 300, workspace)
    (workspace / "behaviour.txt").write_text("succeed\n")
    second = run_retraining(workspace)
    told = (
        "select flow_run_id from log where message like 'waiting: another pipeline run (process%'"
    )
    wait_for(lambda: bool(recorded(workspace, told)), 300, workspace)
    assert recorded(workspace, told) == [(second,)]
    assert state(workspace, second)["name"] == "Running"
    assert not list((workspace / "artifacts").glob("*"))
    asked = {"state": {"type": "CANCELLING"}}
    call(workspace, f"/flow_runs/{first}/set_state", asked)
    wait_for(lambda: state(workspace, second)["name"] == "Promoted", 300, workspace)
    assert state(workspace, first)["name"] == "Cancelled"
    assert (workspace / "checkpoint.txt").read_text() == "saved"


@pytest.mark.services
def test_data_that_arrive_start_a_run_and_bad_ones_are_set_aside(
    workspace: Path, launch: Launch
) -> None:
    start(workspace, launch)
    for name in ("good", "sick"):
        (workspace / "data" / "incoming" / name).mkdir(parents=True)
    (workspace / "data" / "incoming" / "sick" / "bad").touch()
    for name in ("good", "sick"):
        (workspace / "data" / "incoming" / f"{name}.ready").touch()
    wait_for(lambda: "Promoted" in retrainings(workspace), 300, workspace)
    wait_for(lambda: not list((workspace / "data/incoming").glob("*.ready")), 60, workspace)
    left = sorted(path.name for path in (workspace / "data" / "incoming").iterdir())
    assert left == ["sick", "sick.refused"]
    assert "class 99" in (workspace / "data" / "incoming" / "sick.refused").read_text()
    assert (workspace / "behaviour.txt").read_text() == "succeed with good"


@pytest.mark.services
def test_a_run_whose_process_died_is_taken_up_but_not_for_ever(
    workspace: Path, launch: Launch
) -> None:
    (workspace / "behaviour.txt").write_text("hang\n")
    process = start(workspace, launch, take_ups=1)
    run_retraining(workspace)
    for _ in range(2):
        wait_for(lambda: hanging(workspace), 300, workspace)
        (workspace / "hanging.txt").unlink()
        (flow,) = [p for p in family(process) if runs_flow(p)]
        flow.send_signal(signal.SIGKILL)
    wait_for(lambda: retrainings(workspace) == ["Crashed", "Crashed"], 300, workspace)
    wait_for(lambda: "crashed 2 times in a row" in output(workspace), 60, workspace)
    tags = recorded(workspace, "select tags from flow_run where tags like '%taken-up%'")
    assert tags == [('["taken-up-1"]',)]


def runs_flow(process: psutil.Process) -> bool:
    """Whether a process is that of a flow run: the one that has started a leash for ``dvc``."""
    try:
        below = [" ".join(child.cmdline()) for child in process.children()]
    except psutil.NoSuchProcess:
        return False
    return any("leash.py" in line and "dvc" in line for line in below)


@pytest.mark.services
def test_a_time_that_passed_while_nothing_ran_is_made_up_for_once(
    workspace: Path, launch: Launch
) -> None:
    process = start(workspace, launch)
    run = run_retraining(workspace)
    wait_for(lambda: state(workspace, run)["name"] == "Promoted", 300, workspace)
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0, output(workspace)
    with sqlite3.connect(workspace / ".prefect" / "prefect.db") as database:
        for column in ("start_time", "expected_start_time", "end_time"):
            database.execute(f"update flow_run set {column} = datetime({column}, '-15 days')")
    database.close()
    process = start(workspace, launch)
    wait_for(lambda: retrainings(workspace)[1:] == ["Nothing to do"], 300, workspace)
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0, output(workspace)
    start(workspace, launch)
    assert "was missed" not in output(workspace)
