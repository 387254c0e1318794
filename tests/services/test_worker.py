"""A worker is stopped or killed in the middle of a training, or its run is cancelled."""

import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.flows.programs import survivors
from tests.services.deployment import Deployment, working
from tests.services.processes import tail, wait_for

pytestmark = pytest.mark.services


def training_at_work(
    deployment: Deployment, copy: Path, worker: "subprocess.Popen[bytes]"
) -> tuple[str, list[psutil.Process]]:
    """A run whose stage goes on until ``wait.txt`` is gone, and all processes below ``worker``."""
    (copy / "wait.txt").touch()
    run = deployment.start("training/on-demand")
    wait_for((copy / "working.txt").exists, 120, copy.parent / "worker.log")
    return run, psutil.Process(worker.pid).children(recursive=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_run_of_a_worker_that_ended_is_taken_up_by_the_next(
    number: signal.Signals, deployment: Deployment, copy: Path
) -> None:
    log = copy.parent / "worker.log"
    with working(deployment, copy) as worker:
        run, below = training_at_work(deployment, copy, worker)
        assert len(below) >= 4  # the flow, the leash, dvc, the stage
        worker.send_signal(number)
        worker.wait(60)
        assert survivors(below, 60) == []
    (copy / "wait.txt").unlink()
    with working(deployment, copy):
        closed = deployment.state(run)
        assert closed["type"] == "CRASHED", (closed, tail(log))
        assert closed["message"] == "Cut off: its process ended without a word."
        successor = "SELECT id FROM flow_run WHERE tags @> '[\"taken-up-1\"]' AND start_time > "
        successor += f"(SELECT start_time FROM flow_run WHERE id = '{run}')"
        wait_for(lambda: bool(deployment.postgres.query("prefect", successor)), 120, log)
        [again] = deployment.postgres.query("prefect", successor)
        wait_for(lambda: deployment.state(again)["type"] in ("COMPLETED", "FAILED"), 180, log)
        assert deployment.state(again)["type"] == "COMPLETED", tail(log)
        assert "takes it up." in log.read_text()
        deployment.forget()


def test_run_that_is_cancelled_ends_and_leaves_no_process(
    deployment: Deployment, copy: Path
) -> None:
    log = copy.parent / "worker.log"
    with working(deployment, copy) as worker:
        run, below = training_at_work(deployment, copy, worker)
        below = [one for one in below if "flows.sensor" not in one.cmdline()]
        deployment.ask(f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
        wait_for(lambda: deployment.state(run)["type"] == "CANCELLED", 120, log)
        assert survivors(below, 60) == []
        assert worker.poll() is None  # and takes the next one
        (copy / "wait.txt").unlink()
        again = deployment.start("training/on-demand")
        wait_for(lambda: deployment.state(again)["type"] in ("COMPLETED", "FAILED"), 180, log)
        assert deployment.state(again)["type"] == "COMPLETED", tail(log)
        deployment.forget()


def test_data_that_arrive_beside_a_worker_start_a_run(deployment: Deployment, copy: Path) -> None:
    log = copy.parent / "worker.log"
    with working(deployment, copy):
        (copy / "data" / "incoming" / "may").mkdir(parents=True)
        (copy / "data" / "incoming" / "may.ready").touch()
        ended = "SELECT state_name FROM flow_run WHERE tags @> '[\"new data\"]'"
        ended += " AND state_type = 'COMPLETED'"
        wait_for(lambda: bool(deployment.postgres.query("prefect", ended)), 240, log)
        # set aside with the reason, as there is no data set here to add it to; the run goes on
        refused = (copy / "data" / "incoming" / "may.refused").read_text()
        assert "data/coco.yaml not found" in refused
        deployment.forget()
