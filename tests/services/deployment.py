"""The servers of ``deploy/compose.yaml`` as processes on loopback, and a working copy for them."""

import json
import os
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from pipeline.running.entry import TELEMETRY_OFF
from tests.pipeline.servers import free_port
from tests.services.postgres import PASSWORD, Postgres
from tests.services.processes import HOST, answers, module, running, tail

ROOT = Path(__file__).resolve().parents[2]
KIT = ROOT / "deploy"
SIGN_IN = f"admin:{PASSWORD}"
KEYS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Addresses of the running servers; their logs are in ``folder``."""

    postgres: Postgres
    folder: Path
    s3: str
    mlflow: str
    prefect: str

    def environment(self) -> dict[str, str]:
        """What the programs of a worker or a person need to find the servers."""
        return clean_environment() | {
            **KEYS,
            "AWS_ENDPOINT_URL_S3": self.s3,
            "MLFLOW_TRACKING_URI": self.mlflow,
            "MLFLOW_TRACKING_USERNAME": "admin",
            "MLFLOW_TRACKING_PASSWORD": PASSWORD,
            "PREFECT_API_URL": f"{self.prefect}/api",
            "PREFECT_API_AUTH_STRING": SIGN_IN,
            "PIPELINE_SWEEPS": self.postgres.uri("sweeps", "pg8000", "sweeps"),
        }

    def ask(self, path: str, content: Mapping[str, Any] | None = None, verb: str = "") -> Any:
        """An answer of Prefect's API, to GET, or to POST with ``content``."""
        body = None if content is None else json.dumps(content).encode()
        sign_in = b64encode(SIGN_IN.encode()).decode()
        headers = {"Content-Type": "application/json", "Authorization": f"Basic {sign_in}"}
        request = Request(f"{self.prefect}/api{path}", body, headers, method=verb or None)
        with urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or "null")

    def start(self, name: str, /, **parameters: object) -> str:
        """Ask for a run of the deployment ``flow/name``; the flow run's id."""
        found = self.ask(f"/deployments/name/{name}")["id"]
        asked = {"parameters": parameters}
        return str(self.ask(f"/deployments/{found}/create_flow_run", asked)["id"])

    def state(self, run: str) -> dict[str, Any]:
        """The present state of a flow run."""
        return dict(self.ask(f"/flow_runs/{run}")["state"])

    def forget(self) -> None:
        """Delete all deployments, and so their schedules: they name a working copy."""
        for found in self.ask("/deployments/filter", {}):
            self.ask(f"/deployments/{found['id']}", verb="DELETE")

    def objects(self, bucket: str) -> list[str]:
        """Names of all objects in a bucket."""
        pages = s3_client(self.s3).get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]


def clean_environment() -> dict[str, str]:
    """This process's environment without anybody's servers, the programs of its Python first."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "AWS_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return TELEMETRY_OFF | kept | {"PATH": path, "PYTHONPATH": str(ROOT)}


def s3_client(address: str) -> Any:
    import boto3

    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client("s3", endpoint_url=address, region_name="us-east-1", **keys)


@contextmanager
def running_s3(folder: Path) -> Iterator[str]:
    """Moto's S3 server with empty buckets; it keeps them in memory."""
    port = free_port()
    address = f"http://{HOST}:{port}"
    with running(
        module("moto.server", "-H", HOST, "-p", str(port)),
        log=folder / "s3.log",
        environment=clean_environment(),
        ready=answers(f"{address}/moto-api/"),
    ):
        own = {**KEYS, "AWS_ENDPOINT_URL_S3": address}
        call(folder, clean_environment() | own, "python", str(KIT / "buckets.py"), "make")
        yield address


@contextmanager
def running_mlflow(
    folder: Path, postgres: Postgres, s3: str, *, database: str = "mlflow", workers: int = 1
) -> Iterator[str]:
    """The MLflow server as ``deploy/mlflow.sh`` starts it, on ``database``."""
    port = free_port()
    address = f"http://{HOST}:{port}"
    own = {
        **KEYS,
        "AWS_ENDPOINT_URL_S3": s3,
        "MLFLOW_DATABASE": postgres.uri(database, "pg8000", "mlflow"),
        "MLFLOW_AUTH_DATABASE": postgres.uri(f"{database}_auth", "pg8000", "mlflow"),
        "MLFLOW_BUCKET": "s3://mlflow/files",
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": PASSWORD,
        "MLFLOW_ALLOWED_HOSTS": "mlflow:*,localhost:*,127.0.0.1:*",
        "MLFLOW_WORKERS": str(workers),
    }
    with running(
        ["sh", str(KIT / "mlflow.sh"), HOST, str(port)],
        log=folder / "mlflow.log",
        environment=clean_environment() | own,
        ready=answers(f"{address}/health"),
    ):
        yield address


@contextmanager
def running_prefect(folder: Path, postgres: Postgres) -> Iterator[str]:
    """A Prefect server with its scheduler."""
    port = free_port()
    address = f"http://{HOST}:{port}"
    own = {
        "PREFECT_HOME": str(folder / "prefect-server"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": postgres.uri("prefect", "asyncpg", "prefect"),
        "PREFECT_SERVER_API_AUTH_STRING": SIGN_IN,
        "PREFECT_SERVER_UI_API_URL": f"{address}/api",
    }
    with running(
        ["prefect", "--no-prompt", "server", "start", "--host", HOST, "--port", str(port)],
        log=folder / "prefect.log",
        environment=clean_environment() | own,
        ready=answers(f"{address}/api/health"),
    ):
        yield address


@contextmanager
def running_deployment(folder: Path, postgres: Postgres) -> Iterator[Deployment]:
    """All servers but the worker, which works in a working copy."""
    users = ("MLFLOW", "PREFECT", "SWEEPS")
    passwords = {f"{user}_DATABASE_PASSWORD": PASSWORD for user in users}
    environment = clean_environment() | postgres.environment() | passwords
    call(folder, environment, "sh", str(KIT / "init-databases.sh"))
    with ExitStack() as stack:
        s3 = stack.enter_context(running_s3(folder))
        mlflow = stack.enter_context(running_mlflow(folder, postgres, s3))
        prefect = stack.enter_context(running_prefect(folder, postgres))
        yield Deployment(postgres=postgres, folder=folder, s3=s3, mlflow=mlflow, prefect=prefect)


@contextmanager
def working(deployment: Deployment, copy: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker in ``copy`` as ``deploy/worker.sh`` starts it; what it says is in ``worker.log``."""
    environment = deployment.environment() | {"PREFECT_WORKER_QUERY_SECONDS": "2"}
    log = copy.parent / "worker.log"
    log.unlink(missing_ok=True)  # of an earlier one
    with running(
        ["sh", str(KIT / "worker.sh")],
        log=log,
        cwd=copy,
        environment=environment | {"PWD": str(copy)},
        ready=lambda: "started!" in tail(log),
    ) as process:
        yield process


def call(copy: Path, environment: Mapping[str, str], *command: str) -> str:
    """Output of a command in a working copy; it has to succeed."""
    done = subprocess.run(
        command,
        cwd=copy,
        env={**environment, "PWD": str(copy)},  # prefect.yaml takes the folder from it
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def packages(copy: Path) -> None:
    """Put the project's own packages and Prefect's two files into a working copy."""
    for package in ("flows", "pipeline", "yolov2"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__py*"))
    for name in ("prefect.toml", "prefect.yaml"):
        shutil.copy(ROOT / name, copy)
