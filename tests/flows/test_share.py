import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.test_copies import repository, run

__all__ = ["repository"]


@pytest.mark.services
def test_a_second_machine_takes_results_from_the_remote(
    repository: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    def training(folder: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "flows.training"]
        own = environment | {"PREFECT_HOME": str(folder / ".prefect")}
        return subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True)

    params = (repository / "params.yaml").read_text()
    (repository / "params.yaml").write_text(params.replace("{retry", "{share: true, retry"))
    lonely = training(repository)
    assert lonely.returncode == 1
    assert "no remote" in lonely.stderr.splitlines()[-1]

    dvc = (sys.executable, "-m", "dvc")
    run(repository, *dvc, "remote", "add", "--default", "near", str(tmp_path / "remote"))
    identity = ("-c", "user.name=n", "-c", "user.email=e@x")
    run(repository, "git", *identity, "commit", "--quiet", "--all", "--message", "remote")
    run(repository, *dvc, "push", "--quiet")  # the images, as whoever adds data does
    other = tmp_path / "other"
    run(tmp_path, "git", "clone", "--quiet", str(repository), str(other))

    first = training(repository)
    assert first.returncode == 0, first.stderr
    second = training(other)  # it has neither the images nor dvc.lock
    assert second.returncode == 0, second.stderr
    # DVC keeps no results of a stage that reads nothing, as the first one here
    assert "stages: 1 completed, 1 restored" in second.stdout
    assert (other / "reports" / "metrics.json").is_file()
