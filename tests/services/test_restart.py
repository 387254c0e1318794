"""PostgreSQL goes away for a while under MLflow and Prefect; nothing is lost, nothing doubled."""

import subprocess
import time
from pathlib import Path

import pytest

from pipeline.tracking.delivery import Delivery
from pipeline.tracking.runs import open_training_run
from tests.pipeline.tracked import CONFIG, KEY, PARAMETERS, identity, leave_tables
from tests.services.deployment import Deployment
from tests.services.processes import tail, wait_for

pytestmark = pytest.mark.services


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_figures_arrive_once_though_the_database_was_away(
    mode: str,
    deployment: Deployment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("URI", "USERNAME", "PASSWORD"):
        variable = f"MLFLOW_TRACKING_{name}"
        monkeypatch.setenv(variable, deployment.environment()[variable])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").touch()
    with open_training_run(
        CONFIG, parameters=PARAMETERS, key=KEY, run_id=None, identity=identity()
    ) as run:
        delivery = Delivery(run, leave_tables(tmp_path / "run", [2.0]), pause=0.5)
        delivery.send()
        deployment.postgres.stop(mode)
        try:
            leave_tables(tmp_path / "run", [2.0, 1.0])
            delivery.send()
            assert delivery.failures == 1
        finally:
            deployment.postgres.start()
        leave_tables(tmp_path / "run", [2.0, 1.0, 0.5])
        delivery.finish()
    told = capsys.readouterr().err
    assert "training goes on, figures wait in" in told
    assert "the tracking store answers again: all figures are sent" in told
    stored = (
        "SELECT key, step, value, count(*) FROM metrics WHERE key LIKE 'train/%loss'"
        f" AND run_uuid = '{run.run_id}' GROUP BY key, step, value ORDER BY key, step"
    )
    rows = deployment.postgres.query("mlflow", stored)
    assert [row for row in rows if row.startswith("train/loss|")] == [
        "train/loss|1|2|1",
        "train/loss|2|1|1",
        "train/loss|3|0.5|1",
    ], rows
    status = f"SELECT status FROM runs WHERE run_uuid = '{run.run_id}'"
    assert deployment.postgres.query("mlflow", status) == ["FINISHED"]


@pytest.mark.parametrize("stage_ends", ["after", "while"])
def test_flow_ends_right_though_the_database_was_away(
    stage_ends: str, deployment: Deployment, copy: Path, worker: "subprocess.Popen[bytes]"
) -> None:
    (copy / "wait.txt").touch()
    run = deployment.start("training/on-demand")
    log = copy.parent / "worker.log"
    wait_for((copy / "working.txt").exists, 120, log)
    deployment.postgres.stop("immediate")
    try:
        if stage_ends == "while":
            (copy / "wait.txt").unlink()
        time.sleep(12)
    finally:
        deployment.postgres.start()
    (copy / "wait.txt").unlink(missing_ok=True)
    ended = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
    wait_for(lambda: deployment.state(run)["type"] in ended, 180, log)
    found = deployment.state(run)
    assert found["type"] == "COMPLETED", (found["message"], tail(log))
    times = f"SELECT run_count FROM flow_run WHERE id = '{run}'"
    assert deployment.postgres.query("prefect", times) == ["1"]
