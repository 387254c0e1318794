"""Real servers, once for all tests of this folder; a working copy and its worker for each."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pipeline import paths
from tests.services.deployment import (
    Deployment,
    call,
    packages,
    running_deployment,
    working,
)
from tests.services.postgres import Postgres, binaries, running_postgres

WORK = """\
import time
from pathlib import Path

from pipeline.running.entry import run_stage
from tests.pipeline.tracked import leave_result

def main():
    Path("working.txt").touch()
    while Path("wait.txt").exists():
        time.sleep(0.1)
    leave_result(Path.cwd(), scale=float(Path("scale.txt").read_text()))

run_stage(main)
"""

PARAMS = """\
tracking: {experiment: trial, model_name: trial-model}
flows: {retry_seconds: 5}
schedule: {poll_seconds: 1}
"""


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    programs = binaries()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    with running_postgres(programs) as server:
        yield server


@pytest.fixture(scope="session")
def deployment(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    for name in ("moto", "pg8000", "dvc_s3"):
        pytest.importorskip(name, reason=f"{name} is not installed (extras `servers` and `dev`)")
    with running_deployment(tmp_path_factory.mktemp("servers"), postgres) as found:
        yield found


@pytest.fixture
def copy(deployment: Deployment, tmp_path: Path) -> Path:
    """A git working copy with one stage, which logs a finished training; its remote is on S3."""
    folder = tmp_path / "copy"
    folder.mkdir()
    packages(folder)
    outs = [paths.ONNX, paths.BEST, paths.EXPORT, paths.VALIDATION, paths.DATASET]
    outs += [paths.TRAINING, paths.THRESHOLDS]
    stage = {
        "cmd": "python work.py",
        "deps": ["work.py", "scale.txt"],
        "outs": [str(out) for out in outs],
        "metrics": [str(paths.METRICS)],
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": stage}}))
    (folder / "work.py").write_text(WORK)
    (folder / "scale.txt").write_text("1.0\n")
    (folder / "params.yaml").write_text(PARAMS)
    ignored = ("/run/", "/reports/", "/working.txt", "/wait.txt", "/.prefect/", "__pycache__/")
    (folder / ".gitignore").write_text("\n".join(ignored))
    environment = deployment.environment()
    git = ("git", "-c", "init.defaultBranch=main")
    call(folder, environment, *git, "init", "-q")
    call(folder, environment, "dvc", "init", "-q")
    remote = f"s3://dvc/{tmp_path.name}"
    call(folder, environment, "dvc", "remote", "add", "-q", "-d", "bucket", remote)
    call(folder, environment, *git, "add", ".")
    call(folder, environment, *git, "commit", "-q", "-m", "all")
    return folder


@pytest.fixture
def worker(deployment: Deployment, copy: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process worker in the working copy, whose flows are deployed."""
    with working(deployment, copy) as process:
        yield process
        deployment.forget()
