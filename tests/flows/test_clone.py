"""A worker that has nothing of the project: each run in a clone of one commit."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.flows.programs import wait_for
from tests.flows.steps.test_copies import repository, run
from tests.flows.test_faults import start_server
from tests.pipeline.servers import free_port

ROOT = Path(__file__).resolve().parents[2]
__all__ = ["repository"]


@pytest.mark.services
def test_a_worker_runs_the_pinned_commit_in_a_folder_of_its_own(
    repository: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    identity = ("-c", "user.name=n", "-c", "user.email=e@x")
    params = (repository / "params.yaml").read_text()
    (repository / "params.yaml").write_text(params.replace("{retry", "{share: true, retry"))
    run(repository, "git", *identity, "commit", "--quiet", "--all", "--message", "share")
    commit = run(repository, "git", "rev-parse", "HEAD").strip()
    (repository / "work.py").write_text("raise SystemExit('a later commit')\n")
    run(repository, "git", *identity, "commit", "--quiet", "--all", "--message", "later")
    (repository / "deploy").mkdir()
    shutil.copy(ROOT / "deploy" / "prefect.yaml", repository / "deploy")
    remote = tmp_path / "remote"
    dvc = (sys.executable, "-m", "dvc")
    run(repository, *dvc, "remote", "add", "--default", "near", str(remote))
    run(repository, *dvc, "push", "--quiet")

    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    own = environment | {
        "PREFECT_API_URL": api,
        "PIPELINE_REPOSITORY": repository.as_uri(),
        "PIPELINE_COMMIT": commit,
        # the images: the pinned commit does not know of the remote
        "DVC_GLOBAL_CONFIG_DIR": str(tmp_path / "dvc"),
    }
    (tmp_path / "dvc").mkdir()
    (tmp_path / "dvc" / "config").write_text(
        f"[core]\n    remote = near\n['remote \"near\"']\n    url = {remote}\n"
    )
    own["PYTHONPATH"] = ""
    elsewhere = tmp_path / "worker"
    elsewhere.mkdir()
    prefect = [sys.executable, "-m", "prefect", "--no-prompt"]

    def ask(path: str, content: dict[str, object]) -> dict[str, object]:
        body = json.dumps(content).encode()
        request = Request(f"{api}{path}", body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=30) as answer:
            return dict(json.load(answer))

    server = start_server(repository, environment, port)
    worker = None
    try:
        for command in (
            ["work-pool", "create", "machines", "--type", "process"],
            ["deploy", "--all", "--prefect-file", "deploy/prefect.yaml"],
        ):
            done = subprocess.run(
                [*prefect, *command], cwd=repository, env=own, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout + done.stderr
        with (repository / "output.log").open("w") as log:
            worker = subprocess.Popen(
                [*prefect, "worker", "start", "--pool", "machines"],
                cwd=elsewhere,
                env=own | {"PIPELINE_COMMIT": "none", "PIPELINE_REPOSITORY": "none"},
                stdout=log,
                stderr=log,
            )
        with urlopen(f"{api}/deployments/name/training/on-demand-clone") as answer:
            deployment = json.load(answer)["id"]
        flow_run = ask(f"/deployments/{deployment}/create_flow_run", {})["id"]

        def state() -> dict[str, str]:
            with urlopen(f"{api}/flow_runs/{flow_run}") as answer:
                return dict(json.load(answer)["state"])

        wait_for(lambda: state()["type"] in ("COMPLETED", "FAILED", "CRASHED"), 300, repository)
        said = (repository / "output.log").read_text()
        # and not the later commit, which fails
        assert state()["message"] == "test AP 0.188, AP50 0.625; stages: 2 completed", said
        ended = "Task run 'register' - Finished in state Completed('version 1 exists')"
        assert ended in said  # so says the clone's own code
        assert not (repository / "artifacts").exists()
    finally:
        for process in filter(None, (worker, server)):
            process.terminate()
            process.wait(60)
