"""The champion behind MLflow's scoring server, on loopback, with the limits of ``app``.

On this machine only, because it knows neither users nor encryption.
"""

import os
import socket
import sys
from pathlib import Path

from pipeline.params.reading import read_section
from pipeline.params.tracking import TrackingConfig
from pipeline.registry.models import CHAMPION, Registry
from pipeline.registry.package import scoring_app, unfit
from pipeline.registry.weights import CACHE
from pipeline.serving.app import ENDPOINT, Limited, Limits
from pipeline.tracking import address
from pipeline.tracking.model_files import fetch_model
from yolov2.config.section import require

HOST = "127.0.0.1"


def serve_champion(port: int, megabytes: int) -> None:
    """Serve the champion on ``port`` until Ctrl-C, requests of at most so many MiB.

    Raises:
        ValueError: there is none, or the port cannot be had.
    """
    require(0 < port < 65536, f"--port must be between 1 and 65535, not {port}")
    require(megabytes > 0, f"--max-body must be positive, not {megabytes}")
    folder, name = champion(read_section("tracking", TrackingConfig))
    with listen(port) as listening:
        print(f"{name} on http://{HOST}:{port}{ENDPOINT}; Ctrl-C ends it", flush=True)
        serve(folder, listening, Limits(body=megabytes * 2**20))


def champion(config: TrackingConfig) -> tuple[Path, str]:
    """The champion's folder on this machine, and what to call it.

    Raises:
        ValueError: there is no champion, or this Python's packages do not fit it.
        TrackingError: the store cannot be used.
    """
    database = address.database_file(address.tracking_uri())
    advice = "run `make demo`, or `pipeline register` and `pipeline promote`"
    none = f"no version of {config.model_name} is the {CHAMPION}: {advice}"
    require(database is None or database.exists(), none)
    registry = Registry(config)
    version = registry.with_alias(CHAMPION)
    if version is None:
        raise ValueError(none)
    found = registry.store.client.get_model_version(registry.name, str(version.number))
    model_id = str(found.source).rsplit("/", 1)[-1]
    folder = fetch_model(registry.store, model_id, CACHE.expanduser())
    name = f"version {version.number} of {registry.name}"
    failing, differing = unfit(folder)
    require(
        not failing,
        f"this Python does not fit {name}: {'; '.join(failing)}. Install what"
        f" {folder / 'requirements.txt'} names",
    )
    if differing:
        print(f"note: {'; '.join(differing)} when {name} was saved", file=sys.stderr)
    return folder, name


def listen(port: int) -> socket.socket:
    """The port on loopback, taken before seconds are spent on loading.

    Raises:
        ValueError: it cannot be had.
    """
    # asyncio sends an answer's body at once only where the protocol is named; else it waits for
    # the client to acknowledge the header, which takes it 40 ms
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()
        return listening
    except OSError as error:
        listening.close()
        reason = os.strerror(error.errno or 0)
        raise ValueError(
            f"port {port} cannot be used ({reason}): choose another (make serve PORT=...)"
        ) from None


def serve(folder: Path, listening: socket.socket, limits: Limits) -> None:
    """Answer requests until Ctrl-C or SIGTERM."""
    from pipeline.serving.connections import run_server

    run_server(Limited(scoring_app(folder), limits), listening)
