"""The store moved to another database, read back by MLflow's own client."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from deploy.move_store import main, snapshot, with_password
from deploy.store_copy import move
from pipeline.tracking.address import TrackingError
from tests.services.postgres import binaries, running_postgres

SERVER = binaries()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small sqlite store with a bit of everything; its folder is the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    file = tmp_path / "mlflow.db"
    client = MlflowClient(f"sqlite:///{file}", f"sqlite:///{file}")
    experiment = client.create_experiment("x", (tmp_path / "mlartifacts").as_uri())
    run = client.create_run(experiment, run_name="first, with 'quotes' and ünïcode")
    odd = [math.nan, math.inf, -math.inf, 0.1, 1e-300]
    metrics = [Metric("odd/values", value, 1000 + i, i) for i, value in enumerate(odd)]
    params = [Param(f"train.p{i}", "x" * 6000 if i == 0 else str(i)) for i in range(90)]
    client.log_batch(run.info.run_id, metrics, params, [RunTag("note", "a\nb")])
    child = client.create_run(experiment, tags={"mlflow.parentRunId": run.info.run_id})
    client.set_terminated(child.info.run_id, "FAILED")
    (tmp_path / "a.txt").write_text("a file")
    client.log_artifact(run.info.run_id, str(tmp_path / "a.txt"))
    model = client.create_logged_model(experiment, "m", run.info.run_id, params={"k": "v"})
    client.create_registered_model("yolov2", tags={"t": "1"})
    for source in (f"models:/{model.model_id}", run.info.artifact_uri):
        client.create_model_version("yolov2", source, run.info.run_id, tags={"AP": "0.5"})
    client.set_registered_model_alias("yolov2", "champion", "2")
    return file


def content(uri: str) -> dict[str, Any]:
    """Everything that MLflow's client tells of a store, without where files lie."""
    client = MlflowClient(uri, uri)
    experiment = client.get_experiment_by_name("x")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    model = client.get_registered_model("yolov2")
    odd = {r.info.run_id: client.get_metric_history(r.info.run_id, "odd/values") for r in runs}
    return {
        "runs": [(r.info.run_id, r.info.run_name, r.info.status, r.data.params) for r in runs],
        "tags": [r.data.tags for r in runs],
        "metrics": {
            run: [(m.step, m.timestamp, repr(m.value)) for m in history]
            for run, history in odd.items()
        },
        "models": [
            (m.model_id, m.name, m.params)
            for m in client.search_logged_models([experiment.experiment_id])
        ],
        "aliases": model.aliases,
        "versions": sorted(
            (v.version, v.run_id, str(v.tags)) for v in client.search_model_versions()
        ),
    }


def test_everything_arrives_and_files_go_along(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, target = content(f"sqlite:///{store}"), f"sqlite:///{tmp_path}/other.db"
    main(["--to", target, "--dry-run"])
    assert "2 runs, 5 metrics" in capsys.readouterr().out
    assert not (tmp_path / "other.db").exists()
    main(["--to", target, "--artifacts", str(tmp_path / "elsewhere")])
    assert content(target) == content(f"sqlite:///{store}") == before
    client = MlflowClient(target)
    run = client.search_runs(["1"], "params.`train.p1` = '1'")[0]
    assert run.info.artifact_uri.startswith((tmp_path / "elsewhere").as_uri())
    assert Path(client.download_artifacts(run.info.run_id, "a.txt")).read_text() == "a file"
    sources = {v.source for v in MlflowClient(target, target).search_model_versions()}
    assert run.info.artifact_uri in sources

    with pytest.raises(
        TrackingError, match=r"other.db is not empty \(1 experiments.*: name an empty database"
    ):
        main(["--to", target])


def test_what_others_have_is_never_deleted(store: Path, tmp_path: Path) -> None:
    target = f"sqlite:///{tmp_path}/other.db"
    client = MlflowClient(target, target)
    client.create_experiment("somebody else's, without a run")
    with pytest.raises(
        TrackingError, match=r"other.db is not empty \(1 experiments\): name an empty"
    ):
        main(["--to", target])
    assert client.get_experiment_by_name("somebody else's, without a run") is not None
    assert client.get_experiment_by_name("x") is None


def test_a_failed_move_leaves_the_target_empty(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = f"sqlite:///{tmp_path}/other.db"

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken, snapshot(store) as copy:
        broken.setattr("deploy.store_copy._set_sequences", cut_off)
        with pytest.raises(KeyboardInterrupt):
            move(copy, target, {})
    assert MlflowClient(target).get_experiment_by_name("x") is None
    with snapshot(store) as copy:
        move(copy, target, {})
    assert content(target) == content(f"sqlite:///{store}")


def test_a_server_is_not_a_source(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@host:5000")
    with pytest.raises(TrackingError, match="host:5000 is no sqlite file") as refused:
        main(["--to", "sqlite:///x.db"])
    assert "secret" not in str(refused.value)


@pytest.fixture
def postgres() -> Iterator[str]:
    if SERVER is None:
        pytest.skip("PostgreSQL is not installed")
    pytest.importorskip("pg8000")
    with running_postgres(SERVER) as server:
        server.query("postgres", "create database mlflow")
        yield server.uri("mlflow", "pg8000")


@pytest.mark.services
def test_to_a_real_postgresql_which_counts_on(store: Path, postgres: str) -> None:
    before = content(f"sqlite:///{store}")
    command = [sys.executable, "-m", "deploy.move_store", "--to", postgres]
    root = Path(__file__).resolve().parents[2]
    own = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=store.parent, env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "only0for0this0test" not in done.stdout + done.stderr
    assert content(postgres) == before
    client = MlflowClient(postgres, postgres)
    new = client.create_experiment("after the move")
    assert int(new) > 1
    run = client.create_run(new)
    client.log_metric(run.info.run_id, "a", 1.0)
    assert client.create_model_version("yolov2", run.info.artifact_uri).version == 3
    again = subprocess.run(command, cwd=store.parent, env=own, capture_output=True, text=True)
    assert again.returncode == 1
    assert "name an empty database" in again.stderr.splitlines()[-1]


KILLED = """\
import os, signal, sys
from deploy import move_store; from deploy import store_copy
store_copy._set_sequences = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
move_store.main(sys.argv[1:])
"""


@pytest.mark.services
def test_a_kill_leaves_postgresql_empty(store: Path, postgres: str) -> None:
    before = content(f"sqlite:///{store}")
    root = Path(__file__).resolve().parents[2]
    own = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-c", KILLED, "--to", postgres]
    done = subprocess.run(command, cwd=store.parent, env=own, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert MlflowClient(postgres).get_experiment_by_name("x") is None
    main(["--to", postgres])
    assert content(postgres) == content(f"sqlite:///{store}") == before


@pytest.mark.services
def test_a_wrong_password_is_said_at_once(store: Path, postgres: str) -> None:
    started = time.monotonic()
    with pytest.raises(TrackingError, match="password authentication failed") as refused:
        main(["--to", postgres.replace("only0for0this0test", "wrong0password")])
    assert time.monotonic() - started < 10  # MLflow itself tries for two minutes
    assert "wrong0password" not in str(refused.value)


@pytest.mark.services
def test_the_password_may_be_in_the_environment(
    store: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, bare = content(f"sqlite:///{store}"), postgres.replace(":only0for0this0test@", "@")
    monkeypatch.delenv("PGPASSWORD", raising=False)
    with pytest.raises(TrackingError, match="owner@127.0.0.1:.* wants a password: set PGPASSWORD"):
        main(["--to", bare])
    monkeypatch.setenv("PGPASSWORD", "only0for0this0test")
    main(["--to", bare])
    assert content(postgres) == before


def test_a_password_of_the_environment_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "p@ss/w:rd")
    found = with_password("postgresql+pg8000://me@db:5433/mlflow")
    assert found == "postgresql+pg8000://me:p%40ss%2Fw%3Ard@db:5433/mlflow"
    for other in ("postgresql+pg8000://me:own@db/mlflow", "sqlite:////a/b.db"):
        assert with_password(other) == other
