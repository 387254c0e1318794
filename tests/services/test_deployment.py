"""The flows of ``prefect.yaml`` through a worker, on servers like those of ``deploy/``."""

import subprocess
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from pipeline import paths
from tests.services.deployment import KIT, Deployment, call, s3_client
from tests.services.processes import wait_for
from yolov2.files import file_sha256

pytestmark = pytest.mark.services


def test_retraining_leaves_everything_on_the_servers(
    deployment: Deployment, copy: Path, worker: "subprocess.Popen[bytes]"
) -> None:
    environment = deployment.environment()
    run = ("prefect", "--no-prompt", "deployment", "run", "retraining/weekly")
    told = call(copy, environment, *run, "--watch", "--watch-interval", "2")
    assert "Promoted" in told
    query = deployment.postgres.query
    stages = "SELECT value, count(*) FROM tags WHERE key = 'stage' GROUP BY value ORDER BY value"
    counted = dict(row.split("|") for row in query("mlflow", stages))
    assert (counted["train"], counted["evaluate"]) == ("1", "1")
    curve = "SELECT step, value FROM metrics WHERE key = 'train/loss'"
    assert query("mlflow", curve) == ["1|2"]
    aliases = "SELECT alias, version FROM registered_model_aliases ORDER BY alias"
    assert query("mlflow", aliases) == ["challenger|1", "champion|1"]
    assert query("mlflow_auth", "SELECT username FROM users") == ["admin"]
    stored = deployment.objects("mlflow")
    assert any(name.endswith("model.onnx") for name in stored)
    assert any(name.endswith("identity/identity.json") for name in stored)
    states = "SELECT state_name FROM flow_run WHERE start_time IS NOT NULL"
    assert query("prefect", states) == ["Promoted"]
    assert not (copy / "mlflow.db").exists()
    assert not list((copy / ".prefect").glob("*.db"))

    # only those who sign in get in
    with pytest.raises(HTTPError, match="401"):
        urlopen(f"{deployment.mlflow}/api/2.0/mlflow/registered-models/search", timeout=30)
    with pytest.raises(HTTPError, match="401"):
        urlopen(f"{deployment.prefect}/api/flow_runs/count", b"{}", timeout=30)

    # and another clone gets the result from the bucket
    call(copy, environment, "git", "add", "dvc.lock")
    call(copy, environment, "git", "commit", "-q", "-m", "result")
    call(copy, environment, "dvc", "push", "-q")
    clone = copy.parent / "clone"
    call(copy.parent, environment, "git", "clone", "-q", str(copy), str(clone))
    # which may decide with nothing but the servers
    own = environment | {"PYTHONPATH": str(clone)}
    told = call(clone, own, "python", "-m", "flows.promotion")
    assert "promotion completed: promoted: version 1 of trial-model is the champion" in told
    call(clone, environment, "dvc", "pull", "-q")
    assert (clone / paths.ONNX).read_bytes() == (copy / paths.ONNX).read_bytes()
    result = file_sha256(clone / paths.METRICS)
    evaluated = f"SELECT run_uuid FROM tags WHERE key = 'result' AND value = '{result}'"
    assert query("mlflow", f"SELECT status FROM runs WHERE run_uuid IN ({evaluated})")


def test_cron_line_ticks_on_postgresql(
    deployment: Deployment, copy: Path, worker: "subprocess.Popen[bytes]"
) -> None:
    environment = deployment.environment()
    file = copy / "prefect.yaml"
    file.write_text(file.read_text().replace('"0 3 * * 1"', '"* * * * *"'))
    call(copy, environment, "prefect", "--no-prompt", "deploy", "--all")
    one = "SELECT id FROM flow_run WHERE auto_scheduled AND start_time IS NOT NULL LIMIT 1"
    query = deployment.postgres.query
    log = copy.parent / "worker.log"
    [run] = wait_for(lambda: query("prefect", one), 150, log)
    wait_for(lambda: deployment.state(run)["type"] == "COMPLETED", 120, log)


def test_backup_brings_everything_back(deployment: Deployment, tmp_path: Path) -> None:
    query = deployment.postgres.query
    environment = deployment.environment() | deployment.postgres.environment()
    kept = "SELECT count(*) FROM runs", "SELECT count(*) FROM flow_run"
    before = [query(name, text) for name, text in zip(("mlflow", "prefect"), kept, strict=True)]
    files = deployment.objects("mlflow")
    script = ("sh", str(KIT / "backup.sh"))
    call(tmp_path, environment, *script, "save", "backup")
    query("mlflow", "TRUNCATE runs CASCADE")
    query("prefect", "DROP TABLE flow_run CASCADE")
    client = s3_client(deployment.s3)
    for name in files:
        client.delete_object(Bucket="mlflow", Key=name)
    call(tmp_path, environment, *script, "restore", "backup")
    after = [query(name, text) for name, text in zip(("mlflow", "prefect"), kept, strict=True)]
    assert (after, deployment.objects("mlflow")) == (before, files)
    call(tmp_path, environment, *script, "save", "backup")  # a second one replaces the first
    assert not list(tmp_path.rglob("*.partial"))
