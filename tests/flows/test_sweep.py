"""A sweep over a small stand-in for the training: AP depends on the learning rate."""

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import optuna
import pandas as pd
import pytest
import yaml

from flows.steps.commands import StageError
from flows.trials.series import _ours
from tests.flows.programs import family, recorded, survivors, wait_for

WORK = """\
import json, os, time
from pathlib import Path

from pipeline.params.schema import load

params = load()
lr = params.train.lr
key = f"lr{lr:.6g}"
folder = Path(os.environ.get("DVC_ROOT", ".")) / "checkpoints" / key
folder.mkdir(parents=True, exist_ok=True)
recording = folder / "recording"
recording.mkdir(exist_ok=True)
start = {"key": key, "identity": {"invocation": os.environ["PIPELINE_INVOCATION"]}, "began": 1}
for name, content in (("start", start), ("run", {"run_id": key}), ("sent", {"began": 1})):
    (recording / f"{name}.json").write_text(json.dumps(content))
print("with", lr, flush=True)
if lr > 0.5:
    raise SystemExit("error: this learning rate is mad")
lines = ["epoch,AP"]
for epoch in range(1, params.train.epochs + 1):
    ap = lr * epoch / params.train.epochs
    lines.append(f"{epoch},{ap if epoch % 2 == 0 else ''}")
    (folder / "new.csv").write_text("\\n".join(lines) + "\\n")
    (folder / "new.csv").replace(folder / "history.csv")  # in one step, as a training does
    print("epoch", epoch, flush=True)
    time.sleep(0.05)
    while Path(os.environ.get("DVC_ROOT", "."), "slow").exists():
        time.sleep(0.1)
for file in ("artifacts/training.json", "reports/train/history.csv"):
    Path(file).parent.mkdir(parents=True, exist_ok=True)
Path("artifacts/training.json").write_text(json.dumps({"key": key}))
Path("reports/train/history.csv").write_text("\\n".join(lines) + "\\n")
"""
PARAMS = "train: {lr: 0.1, epochs: 20, validate_every: 2}\ntracking: {experiment: yolov2}\n"


@pytest.fixture
def repository(workspace: Path) -> Path:
    (workspace / ".dvc" / "config").write_text("")
    (workspace / ".gitignore").write_text(
        "/.dvc/tmp\n/.dvc/cache\n.prefect\n/output.log\n__py*\n/checkpoints\n/sweeps.db*\n"
        "/mlflow.db*\n/mlartifacts\n/reports\n/artifacts\n/slow\n"
    )
    (workspace / "params.yaml").write_text(PARAMS + "flows: {retries: 0}\n")
    (workspace / "work.py").write_text(WORK)
    document = yaml.safe_load((workspace / "dvc.yaml").read_text())
    document["stages"]["train"] = {
        "cmd": "python work.py",
        "deps": ["digits.txt", "work.py"],
        "params": ["train"],
        "outs": ["artifacts/training.json", "reports/train/history.csv"],
    }
    document["stages"]["after"] = {"cmd": "false", "deps": ["artifacts/training.json"]}
    (workspace / "dvc.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        identity = ["-c", "user.name=n", "-c", "user.email=e@x"]
        subprocess.run(["git", *identity, *command], cwd=workspace, check=True)
    return workspace


def start(repository: Path, environment: dict[str, str], *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "flows.sweep", *options],
        cwd=repository,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def sweep(
    repository: Path, environment: dict[str, str], *options: str
) -> subprocess.CompletedProcess[str]:
    process = start(repository, environment, *options)
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def test_trial_that_others_repeat_fails_with_the_reason() -> None:
    trial = optuna.create_study().ask()
    trial.study.tell(trial, state=optuna.trial.TrialState.FAIL)
    said = "trial 0 is being repeated: for 60 seconds or longer"
    with pytest.raises(StageError, match=said), _ours(trial):
        trial.report(0.5, 1)


@pytest.mark.services
def test_the_best_goes_to_its_end_and_the_worse_are_stopped(
    repository: Path, environment: dict[str, str]
) -> None:
    lr = f"train.lr=choice({', '.join(str(i / 50) for i in range(1, 16))})"
    options = ("-S", lr, "-S", "train.epochs=30", "--name", "first", "--trials")
    done = sweep(repository, environment, *options, "99")  # there are 15 combinations
    assert done.returncode == 0, done.stderr + done.stdout
    assert "val AP 0.3000 with -S 'train.epochs=30' -S 'train.lr=0.3'" in done.stdout

    trials = pd.read_csv(repository / "reports" / "sweeps" / "first" / "trials.csv")
    assert sorted(trials["train.lr"]) == [i / 50 for i in range(1, 16)]
    assert trials.loc[trials["trial"] == 0, "train.lr"].item() == 0.1  # what params.yaml has
    assert trials.iloc[0][["state", "AP"]].tolist() == ["complete", 0.3]
    states = dict(recorded(repository, "select name, state_name from task_run"))
    stopped = [n for n, state in states.items() if state == "Stopped early"]
    assert stopped
    assert len(trials[trials["state"] == "stopped early"]) == len(stopped)
    # on a busy machine a stage may be at its end before its figures are seen
    assert trials[trials["state"] == "stopped early"]["epochs"].median() < 30
    assert (repository / "params.yaml").read_text().startswith(PARAMS)
    assert not (repository / "reports" / "train").exists()
    assert not subprocess.run(
        ["git", "status", "--porcelain"], cwd=repository, capture_output=True
    ).stdout

    again = sweep(repository, environment, *options, "99")
    assert again.returncode == 0, again.stderr
    assert "sweep first: 15 of 15 done" in again.stderr + again.stdout
    other = sweep(repository, environment, "-S", "train.lr=uniform(0.1, 0.3)", "--name", "first")
    assert other.returncode == 1
    assert "the sweep first is of other code, data, settings or choices" in other.stderr


@pytest.mark.services
def test_failures_end_a_sweep_with_the_reason(
    repository: Path, environment: dict[str, str]
) -> None:
    done = sweep(repository, environment, "-S", "train.lr=choice(0.6, 0.7)", "--trials", "8")
    assert done.returncode == 1
    assert "2 trials failed one after the other, the last: stage 'train' failed" in done.stderr
    assert "this learning rate is mad" in done.stderr.splitlines()[-1]


@pytest.mark.services
def test_two_processes_share_a_sweep_and_a_killed_one_loses_nothing(
    repository: Path, environment: dict[str, str]
) -> None:
    options = ("-S", "train.lr=uniform(0.01, 0.4)", "--name", "shared", "--trials", "6")
    (repository / "slow").touch()
    first = start(repository, environment, *options)
    wait_for(lambda: bool(list(repository.glob("checkpoints/*/history.csv"))), 120, repository)
    below = family(first)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert survivors(below, 30) == []
    (repository / "slow").unlink()
    both = [start(repository, environment, *options) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err + out
    with sqlite3.connect(repository / "sweeps.db") as database:
        states = database.execute("select state, count(*) from trials group by state").fetchall()
    database.close()
    answered = sum(number for state, number in states if state in ("COMPLETE", "PRUNED"))
    assert 6 <= answered <= 7, states  # the other may have been at work on its last one
    assert list((repository / ".dvc" / "tmp" / "copies").iterdir()) == []
