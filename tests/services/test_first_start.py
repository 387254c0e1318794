"""The stores are not damaged by several processes that meet an empty database at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.deployment import Deployment, clean_environment, running_mlflow
from tests.services.postgres import Postgres

pytestmark = pytest.mark.services

OPEN = """\
import sys, time
from pathlib import Path
from pipeline.running.entry import run_stage
from tests.pipeline.tracked import open_store
import mlflow, sqlalchemy
Path(sys.argv[1]).touch()
while not Path("go").exists():
    time.sleep(0.01)
def main():
    print(open_store().experiment_id)
run_stage(main)
"""


def test_four_first_connections_at_once(postgres: Postgres, tmp_path: Path) -> None:
    postgres.query("postgres", "CREATE DATABASE first")
    environment = clean_environment() | {"MLFLOW_TRACKING_URI": postgres.uri("first", "pg8000")}
    (tmp_path / "dvc.yaml").touch()
    started = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, f"ready{number}"],
            cwd=tmp_path,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for number in range(4)
    ]
    while len(list(tmp_path.glob("ready*"))) < 4:
        assert all(one.poll() is None for one in started)
    (tmp_path / "go").touch()
    ended = [one.communicate(timeout=120) for one in started]
    # one makes the tables, the others may say that they cannot; then all find the same store
    assert 0 in [one.returncode for one in started], ended
    for _, told in ended:
        assert len(told.splitlines()) <= 1, told
    again = [
        subprocess.run(
            [sys.executable, "-c", OPEN, "ready"],
            cwd=tmp_path,
            env=environment,
            text=True,
            capture_output=True,
        )
        for _ in range(2)
    ]
    assert [one.returncode for one in again] == [0, 0], again
    assert {one.stdout for one in again} == {told for told, _ in ended if told}
    count = "SELECT count(*) FROM experiments WHERE name = 'trial'"
    assert postgres.query("first", count) == ["1"]


def test_four_server_processes_meet_empty_databases(deployment: Deployment, tmp_path: Path) -> None:
    postgres = deployment.postgres
    for name in ("second", "second_auth"):
        postgres.query("postgres", f"CREATE DATABASE {name} OWNER mlflow")
    nowhere = "http://127.0.0.1:9"
    with running_mlflow(tmp_path, postgres, nowhere, database="second", workers=4):
        assert postgres.query("second_auth", "SELECT username FROM users") == ["admin"]
        assert postgres.query("second", "SELECT name FROM experiments") == ["Default"]
    log = (tmp_path / "mlflow.log").read_text()
    assert "Traceback" not in log, log
