"""What breaks around a flow: a full disk, MLflow away, Prefect's server restarted."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.programs import output, recorded, wait_for
from tests.flows.test_training import Launch, training
from tests.pipeline.servers import free_port

FILL = """\
from pathlib import Path

from pipeline.running.entry import run_stage

def main():
    Path("small/weights").write_bytes(bytes(4_000_000))
    Path("artifacts").mkdir(exist_ok=True)
    Path("artifacts/training.json").write_text('{"key": "1a2b"}')
    Path("reports").mkdir(exist_ok=True)
    figures = '"AP": 0.5, "AP50": 0.5, "split": "test", "per_class": {}'
    Path("reports/metrics.json").write_text("{" + figures + "}")

run_stage(main)
"""

REGISTER = """\
import json, sys
from pathlib import Path

from pipeline.tracking.connection import connect
from pipeline.running.entry import run_stage

def main():
    told = {"sentence": f"registered in {connect('trial').uri}", "runs": {"training": "1a2b"}}
    Path(sys.argv[2]).write_text(json.dumps(told))

run_stage(main)
"""

WAIT = """\
import time
from pathlib import Path
Path("hanging.txt").write_text("yes")
while not Path("go.txt").exists():
    time.sleep(0.1)
"""


@pytest.fixture
def small_disk(workspace: Path) -> Iterator[Path]:
    """A folder of 2 MB in the working copy."""
    folder = workspace / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no right to mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.services
def test_a_full_disk_is_told_and_not_tried_again(
    workspace: Path, environment: dict[str, str], small_disk: Path
) -> None:
    (workspace / "work.py").write_text(FILL)
    done = training(workspace, environment)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr.splitlines()[-1]
    assert recorded(workspace, "select name, run_count from task_run where name = 'train'") == [
        ("train", 1)
    ]
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    done = training(workspace, environment)
    assert done.returncode == 0, done.stderr
    assert "stages: 1 unchanged, 1 completed" in done.stdout


@pytest.mark.services
def test_mlflow_away_is_waited_for_and_then_nothing_is_done_twice(
    workspace: Path, environment: dict[str, str]
) -> None:
    (workspace / "fakes" / "register.py").write_text(REGISTER)
    (workspace / "params.yaml").write_text("flows: {retries: 1, retry_seconds: 0.5}\n")
    port = free_port()
    away = training(workspace, environment | {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"})
    assert away.returncode == 1
    assert f"127.0.0.1:{port}" in away.stderr.splitlines()[-1]
    tries = recorded(workspace, "select run_count from task_run where name = 'register'")
    assert tries == [(2,)]
    back = training(
        workspace, environment | {"MLFLOW_TRACKING_URI": f"sqlite:///{workspace}/mlflow.db"}
    )
    assert back.returncode == 0, back.stderr
    assert "stages: 2 unchanged" in back.stdout


@pytest.mark.services
def test_the_flow_outlives_a_restart_of_prefects_server(
    workspace: Path, environment: dict[str, str], launch: Launch
) -> None:
    work = (workspace / "work.py").read_text()
    (workspace / "work.py").write_text(WAIT + work)
    port = free_port()
    server = start_server(workspace, environment, port)
    environment["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    process = launch("flows.training")
    try:
        wait_for((workspace / "hanging.txt").exists, 300, workspace)
        server.kill()
        server.wait()
        (workspace / "go.txt").touch()  # the stage ends while nobody listens
        wait_for((workspace / "artifacts" / "training.json").exists, 60, workspace)
        server = start_server(workspace, environment, port)
        assert process.wait(300) == 0, output(workspace)
    finally:
        server.terminate()
        server.wait()
    assert recorded(workspace, "select state_name from flow_run") == [("Completed",)]
    states = dict(recorded(workspace, "select name, state_name from task_run"))  # type: ignore[arg-type]
    assert states["train"] == "Completed"


def start_server(
    workspace: Path, environment: dict[str, str], port: int
) -> subprocess.Popen[bytes]:
    """A Prefect server that answers on ``port``, its database in the working copy."""
    own = os.environ | environment | {"PREFECT_API_URL": ""}
    own.pop("PREFECT_API_URL")
    place = ["--host", "127.0.0.1", "--port", str(port)]
    with (workspace / "server.log").open("ab") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "prefect", "--no-prompt", "server", "start", *place],
            cwd=workspace,
            env=own,
            stdout=log,
            stderr=log,
        )
    from flows.server.api import is_healthy

    wait_for(lambda: is_healthy(port), 120, workspace)
    return server
