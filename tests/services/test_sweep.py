"""A sweep whose trials several machines share: on PostgreSQL, each run in a clone of its own."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.flows.test_sweep import PARAMS, WORK
from tests.services.deployment import KIT, PASSWORD, Deployment, call
from tests.services.processes import running, tail, wait_for

pytestmark = pytest.mark.services

TRIALS = 8


@pytest.fixture
def commit(deployment: Deployment, copy: Path) -> str:
    """A commit of the working copy whose training is the stand-in of the sweeps' tests."""
    stage = {
        "cmd": "python work.py",
        "deps": ["work.py"],
        "params": ["train"],
        "outs": ["artifacts/train_run.json", "reports/train/history.csv"],
    }
    (copy / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": stage}}))
    (copy / "work.py").write_text(WORK)
    (copy / "params.yaml").write_text(PARAMS + "flows: {retries: 0, share: true}\n")
    with (copy / ".gitignore").open("a") as file:
        file.write("\n/artifacts/\n/checkpoints/\n")
    call(copy, deployment.environment(), "git", "add", ".")
    call(copy, deployment.environment(), "git", "commit", "-q", "-m", "sweep")
    return call(copy, deployment.environment(), "git", "rev-parse", "HEAD").strip()


def test_runs_on_several_machines_share_the_trials(
    deployment: Deployment, copy: Path, commit: str
) -> None:
    environment = deployment.environment() | {
        "PYTHONPATH": "",  # the clone's own code
        "PIPELINE_REPOSITORY": copy.as_uri(),
        "PIPELINE_COMMIT": commit,
        "PREFECT_WORKER_QUERY_SECONDS": "2",
    }
    (copy / "deploy").mkdir()
    shutil.copy(KIT / "prefect.yaml", copy / "deploy")
    prefect = ("prefect", "--no-prompt")
    call(copy, environment, *prefect, "work-pool", "create", "machines", "--type", "process")
    call(copy, environment, *prefect, "deploy", "--all", "--prefect-file", "deploy/prefect.yaml")
    elsewhere, log = copy.parent / "elsewhere", copy.parent / "worker.log"
    elsewhere.mkdir()
    query = deployment.postgres.query
    space = {"train.lr": "uniform(0.01, 0.4)"}
    with running(
        [*prefect, "worker", "start", "--pool", "machines"],
        log=log,
        cwd=elsewhere,
        environment=environment,
        ready=lambda: "started!" in tail(log),
    ):
        runs = [
            deployment.start("sweep/trials-clone", space=space, trials=TRIALS, name="shared")
            for _ in range(2)
        ]
        over = ("COMPLETED", "FAILED", "CRASHED")
        wait_for(lambda: all(deployment.state(r)["type"] in over for r in runs), 300, log)
    deployment.forget()
    ends = [deployment.state(run) for run in runs]
    assert [end["type"] for end in ends] == ["COMPLETED"] * 2, (ends, tail(log))
    assert all("val AP 0." in end["message"] for end in ends), ends
    tries = "SELECT flow_run_id, count(*) FROM task_run WHERE name LIKE 'trial %' GROUP BY 1"
    shared = dict(row.split("|") for row in query("prefect", tries))
    assert set(shared) == set(runs), shared  # none of them did all
    states = dict(
        row.split("|")
        for row in query("sweeps", "SELECT state, count(*) FROM trials GROUP BY state")
    )
    answers = sum(int(states.get(state, 0)) for state in ("COMPLETE", "PRUNED"))
    assert TRIALS <= answers <= TRIALS + 1, states  # the other may have been at its last one
    reports = "SELECT count(*) FROM runs WHERE name LIKE 'sweep-shared-%'"
    assert int(query("mlflow", reports)[0]) >= 1
    assert query("prefect", f"SELECT count(*) FROM log WHERE message LIKE '%{PASSWORD}%'") == ["0"]
    assert not (copy / "sweeps.db").exists()


def test_store_that_refuses_names_no_password(
    deployment: Deployment, copy: Path, commit: str
) -> None:
    wrong = deployment.environment() | {
        "PYTHONPATH": str(copy),
        "PIPELINE_SWEEPS": deployment.postgres.uri("mlflow", "pg8000", "sweeps"),  # not its own
    }
    done = subprocess.run(
        ["python", "-m", "pipeline.sweep.report", "any"],
        cwd=copy,
        env=wrong,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    port = deployment.postgres.port
    assert done.stderr == (
        f"error: the sweeps' store postgresql+pg8000://sweeps:***@127.0.0.1:{port}/mlflow cannot be"
        ' used: permission denied for database "mlflow"\n'
    )
