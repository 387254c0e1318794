"""Nothing is logged twice or lost, and what came out of DVC's cache says so: with the real DVC."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.params.presets import DEMO, render
from pipeline.running.processes import VARIABLE
from pipeline.tracking.trace import trace
from tests.pipeline.project import IDENTITY
from tests.pipeline.traced import DVC_YAML, EXPORT
from tests.pipeline.tracked import CONFIG
from tests.yolov2.trainer import changed

ROOT = Path(__file__).resolve().parents[3]


def call(folder: Path, *command: str, status: int = 0) -> str:
    """What a program of this Python prints; ``dvc`` and ``git`` by name, others as modules."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"PYTHONPATH": str(ROOT), "PATH": tools, "DVC_NO_ANALYTICS": "1", "EDITOR": "true"}
    program = [] if command[0] in ("dvc", "git") else [sys.executable, "-m"]
    done = subprocess.run(
        [*program, *command],
        cwd=folder,
        env=os.environ | own,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout if status == 0 else done.stderr


def write_params(folder: Path, **settings: Any) -> None:
    named = {name.replace("__", "."): value for name, value in settings.items()}
    text = render("demo", changed(DEMO, {"tracking.experiment": "trial", **named}))
    (folder / "params.yaml").write_text(text)


def commit(folder: Path) -> str:
    call(folder, "git", "add", "-A")
    call(folder, "git", *IDENTITY, "commit", "-qm", "state")
    return call(folder, "git", "rev-parse", "HEAD").strip()


def traced(folder: Path, rev: str | None = None) -> dict[str, Any]:
    """The stages of a trace by name; in this process, which has imported MLflow."""
    with contextlib.chdir(folder):
        return {stage["name"]: stage for stage in trace(CONFIG, rev)["stages"]}


def stored(folder: Path) -> list[Any]:
    """The runs of a folder's store, oldest first."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    trial = client.get_experiment_by_name("trial")
    assert trial is not None
    return list(client.search_runs([trial.experiment_id], order_by=["start_time ASC"]))


def origins(folder: Path) -> list[tuple[str, str]]:
    return [(r.data.tags["stage"], r.data.tags.get("train.origin", "")) for r in stored(folder)]


@pytest.fixture
def project(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a pipeline of two stages that log and compute nothing."""
    for name in ("MLFLOW_TRACKING_URI", "DVC_EXP_NAME", "DVC_ROOT", "DVC_STAGE", VARIABLE, "PORT"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "project"
    folder.mkdir()
    call(folder, "git", "init", "-q")
    call(folder, "dvc", "init", "-q")
    call(folder, "dvc", "remote", "add", "-q", "-d", "shared", str(tmp_path / "remote"))
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / ".gitignore").write_text("/mlflow.db*\n/mlartifacts/\n")
    write_params(folder)
    shutil.copyfile(empty_store, folder / "mlflow.db")
    commit(folder)
    return folder


FIRST = [("train", ""), ("evaluate", "this invocation")]


def test_cache_back_and_forth_and_another_machine(project: Path, empty_store: Path) -> None:
    assert {stage["state"] for stage in traced(project).values()} == {"never ran"}
    call(project, "dvc", "repro", "-q")
    assert origins(project) == FIRST
    first = commit(project)
    call(project, "dvc", "repro", "-q")
    assert origins(project) == FIRST

    write_params(project, evaluate__seed=7)
    state = traced(project)["evaluate"]
    assert (state["state"], state["why"]) == (
        "stale",
        "changed deps: evaluate.seed (modified)",
    )
    call(project, "dvc", "repro", "-q")
    train, _, evaluation = stored(project)
    assert origins(project) == [*FIRST, ("evaluate", "cache")]
    tags = evaluation.data.tags
    assert (tags["train.run"], tags["changed"]) == (train.info.run_id, "evaluate.seed 0 → 7")
    assert (
        f"[{train.info.run_name}](#/experiments/1/runs/{train.info.run_id}), taken from"
        in (tags["mlflow.note.content"])
    )
    assert tags["seed.seen"] == "7"
    assert evaluation.info.run_name == f"evaluate-seed=7-{tags['dvc.key'][:8]}"

    write_params(project, train__lr=0.5, evaluate__seed=7)
    call(project, "dvc", "repro", "-q")
    second = commit(project)
    known = [*FIRST, ("evaluate", "cache"), *FIRST]
    assert origins(project) == known
    call(project, "git", "checkout", "-q", first)
    call(project, "dvc", "repro", "-q")  # everything is in the run cache
    assert origins(project) == known
    runs = stored(project)
    for rev, made in ((None, runs[:2]), (first, runs[:2]), (second, runs[3:])):
        found = traced(project, rev)
        assert [s["run"]["run_id"] for s in found.values()] == [run.info.run_id for run in made]
        assert {s["run"]["where"] for s in found.values()} == {"here"}
        assert {s["state"] for s in found.values()} == {"as recorded" if rev else "up to date"}

    call(project, "dvc", "push", "-q")
    other = project.parent / "other"
    call(project, "git", "clone", "-q", str(project), str(other))
    call(other, "dvc", "pull", "-q")
    found = traced(other)
    assert not (other / "mlflow.db").exists()  # looking makes no store
    assert [s["run"]["where"] for s in found.values()] == ["elsewhere"] * 2
    shutil.copyfile(empty_store, other / "mlflow.db")
    write_params(other, evaluate__seed=9)
    call(other, "dvc", "repro", "-q")
    assert origins(other) == [("train", ""), ("evaluate", "cache")]
    imported, evaluation = stored(other)
    assert "made on another machine" in evaluation.data.tags["mlflow.note.content"]
    run = traced(other)["train"]["run"]
    assert (run["where"], run["run_id"]) == ("twin", imported.info.run_id)
    assert run["recorded"] == runs[0].data.tags["dvc.key"]


def test_what_waits_here_to_be_recorded_is_recorded(project: Path, empty_store: Path) -> None:
    call(project, "dvc", "repro", "-q")
    (sent,) = project.glob("recordings/evaluate-*/sent.json")
    sent.unlink()
    (project / "mlflow.db").unlink()
    assert [s["run"]["where"] for s in traced(project).values()] == ["elsewhere", "waits"]
    text = call(project, "pipeline", "trace")
    assert "not in the store of runs yet: it waits here, `pipeline track send` sends it" in text
    shutil.copyfile(empty_store, project / "mlflow.db")
    assert [s["run"]["where"] for s in traced(project).values()] == ["twin", "here"]
    assert sent.exists()


@pytest.mark.slow
def test_experiments_in_folders_and_queues(project: Path) -> None:
    call(project, "dvc", "exp", "run", "-q", "--temp", "-n", "apart", "-S", "train.lr=0.5")
    assert origins(project) == FIRST
    state = traced(project, "apart")
    assert [s["run"]["run_id"] for s in state.values()] == [r.info.run_id for r in stored(project)]
    for name, seed in (("one", 1), ("two", 2)):
        setting = ("-S", f"evaluate.seed={seed}", "-S", "train.lr=0.5")
        call(project, "dvc", "exp", "run", "-q", "--queue", "-n", name, *setting)
    call(project, "dvc", "exp", "run", "-q", "--run-all")
    # the training of the same settings came out of the run cache, for both
    assert origins(project) == [*FIRST, ("evaluate", "cache"), ("evaluate", "cache")]
    names = [run.data.tags.get("dvc.exp") for run in stored(project)]
    assert names == ["apart", "apart", "one", "two"]
    assert {run.info.status for run in stored(project)} == {"FINISHED"}


@pytest.mark.slow
def test_a_flow_names_its_call_and_an_export_tells_its_training(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "dvc.yaml").write_text(DVC_YAML + EXPORT)
    with monkeypatch.context() as flow:
        flow.setenv(VARIABLE, "flow-1")
        for stage in ("train", "evaluate"):  # each a call of its own
            call(project, "dvc", "repro", "-q", "--single-item", stage)
    assert origins(project) == FIRST
    call(project, "dvc", "repro", "-q")
    export = traced(project)["export"]["run"]
    assert (export["origin"], export["training"]) == ("cache", stored(project)[0].info.run_id)
    told = json.loads(call(project, "pipeline", "trace", "--json"))
    assert told["stages"][2]["run"] == export
    text = call(project, "pipeline", "trace")
    assert f"training taken from DVC's cache: {export['training']}" in text
    assert f"http://127.0.0.1:5000/#/experiments/1/runs/{export['run_id']}" in text


def test_what_cannot_be_traced_is_said(project: Path) -> None:
    assert "error: nowhere: neither a commit nor an experiment; `dvc exp list -A`" in (
        call(project, "pipeline", "trace", "--rev", "nowhere", status=1)
    )
    (project / "dvc.yaml").unlink()
    assert "error: no dvc.yaml: run from the repository's root" in (
        call(project, "pipeline", "trace", status=1)
    )
