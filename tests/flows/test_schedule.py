import argparse
import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import yaml

from flows.schedule import DECISION, ON_DEMAND, TRIALS, WEEKLY, deployments, requested
from pipeline.params.flows import ScheduleConfig
from tests.flows.programs import family, hanging, output, recorded, survivors, wait_for

ROOT = Path(__file__).resolve().parents[2]
MODULE = "flows.schedule"
Launch = Callable[..., subprocess.Popen[str]]


def arguments(**given: str) -> argparse.Namespace:
    return argparse.Namespace(**({"cron": None, "timezone": None} | given))


def test_command_line_overrides_the_parameters() -> None:
    configured = ScheduleConfig(cron="1 2 3 4 5", timezone="Asia/Tokyo")
    assert requested(arguments(), configured) == configured
    assert requested(arguments(cron="* * * * *"), configured) == ScheduleConfig(
        cron="* * * * *", timezone="Asia/Tokyo"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"timezone": "Mars/Base"}, "timezone must be a name like .* not 'Mars/Base'"),
        ({"cron": "* * *"}, "cron must have five fields .* not '\\* \\* \\*'"),
    ],
)
def test_impossible_schedules_are_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        requested(arguments(**given), ScheduleConfig())


def test_impossible_cron_field_is_refused() -> None:
    with pytest.raises(ValueError, match='Invalid cron string: "61 \\* \\* \\* \\*"'):
        deployments(ScheduleConfig(cron="61 * * * *"))


def test_prefect_yaml_tells_of_the_same_deployments() -> None:
    written = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    served = deployments(ScheduleConfig())
    assert (
        [d["name"] for d in written]
        == [d.name for d in served]
        == [
            ON_DEMAND,
            DECISION,
            WEEKLY,
            TRIALS,
        ]
    )
    for one, other in zip(written, served, strict=True):
        assert one["entrypoint"] == f"flows/{other.flow_name}.py:{other.flow_name}"
        assert one["concurrency_limit"]["limit"] == other.concurrency_limit == 1
        assert other.concurrency_options is not None
        strategy = other.concurrency_options.collision_strategy
        assert one["concurrency_limit"]["collision_strategy"] == strategy.value == "CANCEL_NEW"
    default = ScheduleConfig()
    expected = [{"cron": default.cron, "timezone": default.timezone}]
    assert [d.get("schedules", []) for d in written] == [[], [], expected, []]


def call(workspace: Path, path: str, content: dict[str, Any] | None = None) -> Any:
    """An answer of the server; it says 503 while its database is busy, and is then asked again."""
    for _ in range(60):
        try:
            return ask(workspace, path, content)
        except HTTPError as error:
            if error.code != 503:
                raise
        time.sleep(1)
    return ask(workspace, path, content)


def ask(workspace: Path, path: str, content: dict[str, Any] | None) -> Any:
    port = (workspace / ".prefect" / "server.address").read_text().split()[0]
    body = None if content is None else json.dumps(content).encode()
    request = Request(
        f"http://127.0.0.1:{port}/api{path}", body, {"Content-Type": "application/json"}
    )
    with urlopen(request, timeout=30) as answer:
        return json.load(answer)


def run_on_demand(workspace: Path) -> str:
    deployment = call(workspace, f"/deployments/name/training/{ON_DEMAND}")["id"]
    return str(call(workspace, f"/deployments/{deployment}/create_flow_run", {})["id"])


def state(workspace: Path, run: str) -> dict[str, Any]:
    return dict(call(workspace, f"/flow_runs/{run}")["state"])


@pytest.mark.services
def test_cron_creates_a_run_and_stopping_leaves_nothing_behind(
    workspace: Path, launch: Launch
) -> None:
    (workspace / "behaviour.txt").write_text("hang\n")
    every_minute = ("--cron", "* * * * *", "--port", "0")
    process = launch(MODULE, *every_minute)
    wait_for(lambda: hanging(workspace), 300, workspace)
    runs = "select auto_scheduled, state_name from flow_run where state_name != 'Scheduled'"
    assert recorded(workspace, runs) == [(1, "Running")]

    # a run of the other deployment beside it is cancelled, with the reason
    beside = run_on_demand(workspace)
    wait_for(lambda: state(workspace, beside)["type"] == "CANCELLED", 300, workspace)
    assert "another pipeline run (process " in state(workspace, beside)["message"]
    assert "is at work in" in state(workspace, beside)["message"]

    processes = family(process)
    assert len(processes) >= 7  # two leashes, server, flow, dvc, stage, the stage's child
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0, output(workspace)
    assert survivors(processes, 90) == []
    assert (workspace / "checkpoint.txt").read_text() == "saved"
    assert output(workspace).endswith("All deployments have been paused!\n")
    done = "select distinct state_name from flow_run where start_time is not null"
    assert recorded(workspace, done) == [("Cancelled",)]


@pytest.mark.services
def test_schedule_goes_on_after_it_was_killed(workspace: Path, launch: Launch) -> None:
    (workspace / "behaviour.txt").write_text("hang\n")
    process = launch(MODULE, "--port", "0")
    wait_for(lambda: "Prefect's pages" in output(workspace), 300, workspace)
    wait_for(lambda: served(workspace), 300, workspace)
    run = run_on_demand(workspace)
    wait_for(lambda: hanging(workspace), 300, workspace)
    processes = family(process)
    process.kill()
    process.wait(20)
    assert survivors(processes, 90) == []
    assert (workspace / "checkpoint.txt").read_text() == "saved"

    (workspace / "behaviour.txt").write_text("succeed\n")
    process = launch(MODULE, "--port", "0")
    wait_for(lambda: "Prefect's pages" in output(workspace), 300, workspace)
    assert state(workspace, run)["type"] == "CRASHED"
    taken_up = "select 1 from flow_run where state_name = 'Completed'"
    wait_for(lambda: recorded(workspace, taken_up), 300, workspace)
    again = run_on_demand(workspace)  # the slot of the run that was cut off is free
    wait_for(lambda: state(workspace, again)["type"] == "COMPLETED", 300, workspace)
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 0, output(workspace)


def served(workspace: Path) -> bool:
    """Whether the deployments are known to the server."""
    found = call(workspace, "/deployments/filter", {})
    return {one["name"] for one in found} == {ON_DEMAND, DECISION, WEEKLY, TRIALS}
