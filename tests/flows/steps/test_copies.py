import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pipeline.workspace.copies import COPIES
from tests.flows.programs import output, recorded, wait_for

CONFIG = "data: {config: data/mine/data.yaml}\nflows: {retry_seconds: 1}\ntrain: {epochs: 2}\n"


def run(workspace: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=workspace, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def repository(workspace: Path) -> Path:
    """The working copy as a git repository whose image is under ``dvc add``."""
    (workspace / ".dvc" / "config").write_text("")
    (workspace / ".gitignore").write_text("/.dvc/tmp\n/.dvc/cache\n.prefect\n/output.log\n__py*\n")
    (workspace / "params.yaml").write_text(CONFIG)
    images = workspace / "data" / "mine" / "images"
    images.mkdir(parents=True)
    (images / "1.png").write_bytes(b"image")
    (images.parent / "data.yaml").write_text("names: [x]\n")
    stages = yaml.safe_load((workspace / "dvc.yaml").read_text())
    train = stages["stages"]["train"]
    train["cmd"] = "cp params.yaml seen.yaml && cat data/mine/images/1.png && " + train["cmd"]
    train |= {"params": ["train.epochs"], "deps": [*train["deps"], "data/mine/images"]}
    train["outs"].append("seen.yaml")
    (workspace / "dvc.yaml").write_text(yaml.safe_dump(stages, sort_keys=False))
    run(workspace, "git", "init", "--quiet")
    run(workspace, sys.executable, "-m", "dvc", "add", "--quiet", "data/mine/images")
    run(workspace, "git", "add", ".")
    identity = ("-c", "user.name=n", "-c", "user.email=e@x")
    run(workspace, "git", *identity, "commit", "--quiet", "--message", "first")
    return workspace


@pytest.mark.services
def test_run_with_own_settings_leaves_the_folder_as_it_is_and_is_restored_later(
    repository: Path, environment: dict[str, str]
) -> None:
    def training(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "flows.training", *options]
        return subprocess.run(
            command, cwd=repository, env=environment, capture_output=True, text=True
        )

    first = training()
    assert first.returncode == 0, first.stderr
    before = run(repository, "git", "status", "--porcelain")

    own = training("-S", "train.epochs=3")
    assert own.returncode == 0, own.stderr
    assert "stages: 1 unchanged, 1 completed" in own.stdout  # digits came out of DVC's cache
    assert run(repository, "git", "status", "--porcelain") == before
    assert (repository / "params.yaml").read_text() == CONFIG
    assert yaml.safe_load((repository / "seen.yaml").read_text())["train"] == {"epochs": 2}
    assert list((repository / COPIES).iterdir()) == []

    (repository / "params.yaml").write_text(CONFIG.replace("epochs: 2", "epochs: 3"))
    same = training()
    assert same.returncode == 0, same.stderr
    assert "stages: 1 unchanged, 1 restored" in same.stdout

    wrong = training("-S", "train.none=2")
    assert wrong.returncode == 1
    last = wrong.stderr.splitlines()[-1]
    assert "-S train.none=2: write section.key=value" in last, wrong.stderr
    states = recorded(repository, "select state_type from flow_run order by created")
    assert states == [("COMPLETED",), ("COMPLETED",), ("COMPLETED",), ("FAILED",)]


@pytest.mark.services
def test_run_in_a_copy_is_not_taken_for_dead_by_a_run_beside_it(
    repository: Path, environment: dict[str, str], launch: Callable[..., subprocess.Popen[str]]
) -> None:
    (repository / "behaviour.txt").write_text("hang\n")
    own = launch("flows.training", "-S", "train.epochs=3")
    wait_for(lambda: "imagehanging" in output(repository), 300, repository)
    (repository / "behaviour.txt").write_text("succeed\n")
    command = [sys.executable, "-m", "flows.training"]
    beside = subprocess.run(
        command, cwd=repository, env=environment, capture_output=True, text=True
    )
    assert beside.returncode == 0, beside.stderr
    states = "select state_name from flow_run order by created"
    assert recorded(repository, states) == [("Running",), ("Completed",)]
    own.send_signal(signal.SIGTERM)
    assert own.wait(120) == 143, output(repository)
    assert list((repository / COPIES).iterdir()) == []
    beside = subprocess.run(
        command, cwd=repository, env=environment, capture_output=True, text=True
    )
    assert beside.returncode == 0, beside.stderr
    assert recorded(repository, states) == [("Crashed",), ("Completed",), ("Completed",)]
