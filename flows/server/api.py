"""The Prefect API that a flow talks to: a configured one, or one that lives as long as the block.

Prefect's own temporary server outlives a flow that is killed; this one is held on a leash. It is
reached from this machine only.
"""

import atexit
import http.client
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from flows.steps.commands import leashed, stage_environment
from pipeline.running.leash import GRACE_VARIABLE

HOST = "127.0.0.1"
START_SECONDS = 300.0
"""Longest wait for the server; a first start, which makes the database, takes 15 s on two cores."""

SERVICES = (
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED",
)
"""What only a server that serves deployments needs."""


class ServerError(ValueError):
    """The Prefect server did not start."""


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """What kind of server: one that starts scheduled runs, or one for a single flow run.

    ``port`` 0 takes any free one; where the port is busy, another is taken.
    """

    schedules: bool = False
    port: int = 0


@dataclass(frozen=True, kw_only=True)
class PrefectApi:
    """Where flow runs are recorded; ``own`` when it is a server that this process has started."""

    address: str
    own: bool

    @property
    def pages(self) -> str:
        """Address of Prefect's pages."""
        return self.address.removesuffix("/api")


def use_prefect_api(config: ServerConfig) -> PrefectApi:
    """Make a Prefect API the current one until this process exits; see :func:`prefect_api`.

    Logs and events are sent in the background: what stops the server before the interpreter has
    waited for them loses the last of them, and waits a minute for a server that is gone.
    """
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(prefect_api(config))


@contextmanager
def prefect_api(config: ServerConfig) -> Iterator[PrefectApi]:
    """Make a Prefect API the current one for the block.

    That is the API that Prefect is configured for (``PREFECT_API_URL`` or a profile), else the
    server that ``python -m flows.schedule`` runs in this folder, else one started here.

    Raises:
        ServerError: the server ended or did not answer (the message names its log), or a second
            server that schedules was asked for.
    """
    configured = get_current_settings().api.url
    if configured:
        yield PrefectApi(address=configured, own=False)
        return
    home = get_current_settings().home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    note = home / "server.address"
    port = _noted_port(note)
    if port is not None:
        if config.schedules:
            raise ServerError(f"the flows of this folder are served already: http://{HOST}:{port}")
        with _current(port) as address:
            yield PrefectApi(address=address, own=False)
        return
    port = _free_port(config.port)
    log = home / ("server.log" if config.schedules else "temporary-server.log")
    command = ["prefect", "--no-prompt", "server", "start"]
    environment = _server_environment(home, config, port)
    with leashed(command, root=Path.cwd(), environment=environment, log=log) as process:
        deadline = time.monotonic() + START_SECONDS
        while not is_healthy(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServerError(f"Prefect's server did not start: see the end of {log}")
            time.sleep(0.1)
        try:
            if config.schedules:
                note.write_text(f"{port} {os.getpid()}\n", encoding="ascii")
            with _current(port) as address:
                yield PrefectApi(address=address, own=True)
        finally:
            if config.schedules:
                note.unlink(missing_ok=True)


def is_healthy(port: int) -> bool:
    """Whether a Prefect server answers on ``port`` of this machine."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/api/health")
        response = connection.getresponse()
        return response.status == 200 and response.read() == b"true"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextmanager
def _current(port: int) -> Iterator[str]:
    address = f"http://{HOST}:{port}/api"
    with temporary_settings({PREFECT_API_URL: address}):
        yield address


def _noted_port(note: Path) -> int | None:
    """Port of the running schedule server; None when there is none, or it was killed."""
    try:
        port, process = (int(word) for word in note.read_text(encoding="ascii").split())
        os.kill(process, 0)
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return None
    return port if is_healthy(port) else None


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((HOST, port))
            except OSError:
                continue
            return int(trial.getsockname()[1])
    raise ServerError(f"no free port on {HOST}")


def _server_environment(home: Path, config: ServerConfig, port: int) -> dict[str, str]:
    own = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_API_HOST": HOST,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        # the newer pages make a browser ask an analytics service for its settings at each load
        "PREFECT_SERVER_UI_V2_ENABLED": "false",
        GRACE_VARIABLE: "5",
    }
    own |= dict.fromkeys(SERVICES, str(config.schedules))
    kept = {k: v for k, v in os.environ.items() if k != "PREFECT_API_URL"}
    return {**kept, **stage_environment(), **own}
