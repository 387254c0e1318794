"""A sweep whose trials several machines share: on PostgreSQL, each run in a clone of its own."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.flows.test_sweep import PARAMS, WORK
from tests.services.deployment import KIT, PASSWORD, Deployment, call
from tests.services.processes import end, module, running, tail, wait_for

pytestmark = pytest.mark.services

TRIALS = 8


@pytest.fixture
def commit(deployment: Deployment, copy: Path) -> str:
    """A commit of the working copy whose training is the stand-in of the sweeps' tests."""
    stage = {
        "cmd": "python work.py",
        "deps": ["work.py"],
        "params": ["train"],
        "outs": ["artifacts/training.json", "reports/train/history.csv"],
    }
    (copy / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": stage}}))
    (copy / "work.py").write_text(WORK)
    (copy / "params.yaml").write_text(PARAMS + "flows: {retries: 0, share: true}\n")
    with (copy / ".gitignore").open("a") as file:
        file.write("\n/artifacts/\n/checkpoints/\n/slow\n/mlflow.db*\n/mlartifacts/\n")
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
        ["python", "-m", "pipeline", "sweep", "any"],
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


def test_training_goes_on_though_the_database_is_away(
    deployment: Deployment, copy: Path, commit: str
) -> None:
    environment = {
        name: value
        for name, value in deployment.environment().items()
        if not name.startswith(("MLFLOW_", "PREFECT_"))  # those two have no part in the absence
    } | {"PYTHONPATH": str(copy), "PREFECT_HOME": str(copy / ".prefect")}
    postgres, log = deployment.postgres, copy.parent / "sweep.log"
    space = ("-S", "train.lr=uniform(0.01, 0.4)", "--name", "away", "--trials", "3")
    reported = (
        "SELECT step, intermediate_value FROM trial_intermediate_values"
        " JOIN trials USING (trial_id) JOIN studies USING (study_id)"
        " WHERE study_name = 'away' AND number = 0"
        " ORDER BY trial_intermediate_value_id"
    )
    (copy / "slow").touch()
    with log.open("wb") as file:
        sweep = subprocess.Popen(
            module("flows.sweep", *space), cwd=copy, env=environment, stdout=file, stderr=file
        )
    try:
        wait_for(lambda: sweep.poll() is not None or _epochs(copy), 180, log)

        postgres.stop("immediate")
        try:
            _advance(copy, 4, log)
            time.sleep(4)
        finally:
            postgres.start()
        wait_for(lambda: sweep.poll() is not None or "answers again" in _text(log), 30, log)
        _advance(copy, 8, log)
        wait_for(lambda: len(postgres.query("sweeps", reported)) >= 3, 30, log)

        postgres.stop("immediate")
        try:
            (copy / "slow").unlink()  # its first trial ends now
            time.sleep(10)
        finally:
            postgres.start()
        wait_for(lambda: sweep.poll() is not None, 240, log)
    finally:
        end(sweep)
    told = _text(log)
    assert sweep.returncode == 0, told[-6000:]
    states = (
        "SELECT state, count(*) FROM trials JOIN studies USING (study_id)"
        " WHERE study_name = 'away' GROUP BY state"
    )
    assert postgres.query("sweeps", states) == ["COMPLETE|3"]
    assert len(re.findall(r" - with 0\.\d+$", told, re.MULTILINE)) == 3  # each was begun once
    found = [row.split("|") for row in postgres.query("sweeps", reported)]
    assert [int(step) for step, _ in found] == list(range(2, 21, 2))
    assert [float(ap) for _, ap in found] == pytest.approx([0.1 * e / 20 for e in range(2, 21, 2)])
    assert told.count("does not answer") == told.count("answers again") == 2, told
    assert "Traceback" not in told
    assert PASSWORD not in told


def _epochs(copy: Path) -> int:
    """Epochs that the first training has behind it."""
    found = list(copy.glob("checkpoints/*/history.csv"))
    return len(found[0].read_text().splitlines()) - 1 if found else 0


def _advance(copy: Path, epochs: int, log: Path) -> None:
    """Let the training go on until it has as many behind it, and wait there."""
    (copy / "slow").unlink()
    deadline = time.monotonic() + 30
    while _epochs(copy) < epochs:
        assert time.monotonic() < deadline, tail(log)
        time.sleep(0.01)
    (copy / "slow").touch()


def _text(log: Path) -> str:
    return log.read_text(errors="replace")


FIRST = """\
import sys, time
from pipeline.sweep import study
from pipeline.sweep.space import parse

space = parse({"train.lr": "uniform(0.01, 0.4)"})
while time.time() < float(sys.argv[1]):
    pass
print(study.begin("at once", space, "mark", "experiment", 5).user_attrs[study.OF])
"""


def test_an_empty_database_is_begun_by_several_at_once(deployment: Deployment, copy: Path) -> None:
    query = deployment.postgres.query
    query("postgres", "CREATE DATABASE empty OWNER sweeps")
    (copy / "params.yaml").write_text(PARAMS)
    environment = deployment.environment() | {
        "PYTHONPATH": str(copy),
        "PIPELINE_SWEEPS": deployment.postgres.uri("empty", "pg8000", "sweeps"),
    }
    command = [sys.executable, "-c", FIRST, str(time.time() + 15)]
    pipe = subprocess.PIPE
    all_at_once = [
        subprocess.Popen(command, cwd=copy, env=environment, stdout=pipe, stderr=pipe, text=True)
        for _ in range(4)
    ]
    for process in all_at_once:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out) == (0, "mark\n"), err
    # what params.yaml has is tried first, and once
    assert query("empty", "SELECT number, state FROM trials") == ["0|WAITING"]
