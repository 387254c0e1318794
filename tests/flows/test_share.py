import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.flows.steps.test_copies import repository, run

__all__ = ["repository"]


def training(folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.training"]
    own = environment | {"PREFECT_HOME": str(folder / ".prefect")}
    return subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True)


def share(repository: Path) -> None:
    params = (repository / "params.yaml").read_text()
    (repository / "params.yaml").write_text(params.replace("{retry", "{share: true, retry"))


def with_remote(repository: Path, folder: Path) -> Path:
    """Give the repository a DVC remote with its images, and return a clone of it."""
    dvc = (sys.executable, "-m", "dvc")
    run(repository, *dvc, "remote", "add", "--default", "near", str(folder / "remote"))
    identity = ("-c", "user.name=n", "-c", "user.email=e@x")
    run(repository, "git", *identity, "commit", "--quiet", "--all", "--message", "remote")
    run(repository, *dvc, "push", "--quiet")  # the images, as whoever adds data does
    other = folder / "other"
    run(folder, "git", "clone", "--quiet", str(repository), str(other))
    return other


@pytest.mark.services
def test_a_second_machine_takes_results_from_the_remote(
    repository: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    share(repository)
    lonely = training(repository, environment)
    assert lonely.returncode == 1
    assert "no remote" in lonely.stderr.splitlines()[-1]

    other = with_remote(repository, tmp_path)
    first = training(repository, environment)
    assert first.returncode == 0, first.stderr
    second = training(other, environment)  # it has neither the images nor dvc.lock
    assert second.returncode == 0, second.stderr
    # DVC keeps no results of a stage that reads nothing, as the first one here
    assert "stages: 1 completed, 1 restored" in second.stdout
    assert (other / "reports" / "metrics.json").is_file()


@pytest.mark.services
def test_what_was_made_before_a_stage_failed_is_shared_too(
    repository: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    stages = yaml.safe_load((repository / "dvc.yaml").read_text())
    stages["stages"]["export"] = {"cmd": "false", "deps": ["artifacts/training.json"]}
    (repository / "dvc.yaml").write_text(yaml.safe_dump(stages, sort_keys=False))
    share(repository)
    other = with_remote(repository, tmp_path)
    for folder, state in ((repository, "train: ran"), (other, "train: restored")):
        done = training(folder, environment)
        assert done.returncode == 1
        assert "stage 'export' failed" in done.stderr.splitlines()[-1]
        assert f"'{state}'" in done.stderr, done.stderr
