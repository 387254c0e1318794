"""Where runs are stored: the address, and whether something answers there. No MLflow here.

``MLFLOW_TRACKING_URI`` decides; without it the store is ``mlflow.db`` in the root of the main
repository, its files in ``mlartifacts`` beside it. DVC runs queued and temporary experiments
in copies of the repository and names the main one in ``DVC_ROOT``, so that all their runs meet
in one store.
"""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from filelock import FileLock

from pipeline.paths import project_root

ANSWER_SECONDS = 5.0
"""How long a server may take to answer; MLflow's own client would try for minutes."""

LOCK_SECONDS = 120.0
"""How long another process may take to create the store."""

SQLITE = "sqlite:///"
DEFAULT_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
ADVICE = "start it, correct MLFLOW_TRACKING_URI, or unset it to use mlflow.db in this repository"


class TrackingError(ValueError):
    """The store of runs cannot be used; the text names its address and what to do."""


class UnreachableError(TrackingError):
    """The store does not answer now; it may in a minute."""

    passing = True
    """See ``pipeline/running/failure.py``: what failed because of this is worth another try."""


_BUSY = re.compile(
    r"failed with (timeout )?exception|error code (429|5\d\d)|too many 5\d\d error|"
    r"OperationalError|database is locked|connection (refused|reset)|"
    r"InterfaceError|terminating connection",  # pg8000's words, which MLflow calls a bad request
    re.IGNORECASE,
)
"""How MLflow and SQLAlchemy word what a server away or at its limits has caused."""
_PG8000_SAYS = re.compile(r"\{'S': '[A-Z]+',.*?'M': (['\"])(.*?)(?<!\\)\1")


def tracking_uri() -> str:
    """Address of the store; a relative sqlite path is taken from the repository's root.

    Raises:
        TrackingError: the address is a folder, which MLflow 3.13 and later no longer write.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI", "").strip() or f"{SQLITE}mlflow.db"
    if uri.startswith(SQLITE):
        return SQLITE + str(project_root() / uri.removeprefix(SQLITE))
    if urlsplit(uri).scheme in ("", "file"):
        raise TrackingError(
            f"MLFLOW_TRACKING_URI is the folder '{uri}', which MLflow no longer writes to: name a"
            f" database (sqlite:///{project_root() / 'mlflow.db'}) or a server (http://host:5000)"
        )
    return uri


def database_file(uri: str) -> Path | None:
    """The file of a sqlite store, None of any other."""
    return Path(uri.removeprefix(SQLITE).split("?")[0]) if uri.startswith(SQLITE) else None


def artifact_location(uri: str) -> str | None:
    """Folder, as a URI, for the files of a new experiment; None where a server decides.

    Given explicitly, because MLflow otherwise takes it from the folder a process happens to
    start in.
    """
    if urlsplit(uri).scheme in ("http", "https"):
        return None
    file = database_file(uri)
    return ((file.parent if file else project_root()) / "mlartifacts").as_uri()


@contextmanager
def one_at_a_time(uri: str) -> Iterator[None]:
    """Hold the lock beside a sqlite store: processes that create it together would break it."""
    file = database_file(uri)
    if file is None:
        yield
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock", timeout=LOCK_SECONDS):
        yield


def probe(uri: str) -> None:
    """Return when something answers at a network address, within seconds either way.

    Raises:
        TrackingError: nothing listens there, it is too slow, or it is no MLflow server.
    """
    parts = urlsplit(uri)
    scheme = parts.scheme.split("+")[0]
    if scheme in ("http", "https"):
        _probe_server(uri)
    elif parts.hostname and (parts.port or scheme in DEFAULT_PORTS):
        address = (parts.hostname, parts.port or DEFAULT_PORTS[scheme])
        try:
            socket.create_connection(address, timeout=ANSWER_SECONDS).close()
        except OSError as error:
            shown = f"{scheme}://{address[0]}:{address[1]}"  # the full address holds a password
            raise _unreachable(shown, "database", error) from None


def _probe_server(uri: str) -> None:
    request = Request(uri.rstrip("/") + "/health", headers={"User-Agent": "yolov2"})
    try:
        with urlopen(request, timeout=ANSWER_SECONDS):
            return
    except HTTPError as error:
        raise TrackingError(
            f"{without_password(uri)} answers {error.code} ({error.reason}) to /health: is it the"
            " MLflow server, started with --allowed-hosts for this name? Correct"
            " MLFLOW_TRACKING_URI"
        ) from None
    except URLError as error:
        raise _unreachable(uri, "server", error.reason) from None
    except OSError as error:
        raise _unreachable(uri, "server", error) from None


def _unreachable(uri: str, kind: str, reason: object) -> TrackingError:
    return UnreachableError(
        f"the MLflow {kind} {without_password(uri)} cannot be reached ({reason}): {ADVICE}"
    )


def unusable(uri: str, error: Exception) -> TrackingError:
    """What to tell a person when opening the store ended with ``error``."""
    shown, text = without_password(uri), str(error)
    reason = plainly(text) or type(error).__name__
    if "out-of-date database schema" in text:
        return TrackingError(
            f"the store {shown} was made by an older MLflow: make a copy of it, then run"
            f" `mlflow db upgrade {shown}`"
        )
    if "file is not a database" in text:
        return TrackingError(
            f"the store {shown} is not a database: move that file away, a new one will be made"
        )
    kind = UnreachableError if _BUSY.search(text) else TrackingError
    return kind(f"the MLflow store {shown} cannot be used ({reason}): {ADVICE}")


def plainly(text: str) -> str:
    """The first line of a database's complaint; of pg8000's fields only what it says to people."""
    said = _PG8000_SAYS.search(text)
    return said[2] if said else next(iter(text.strip().splitlines()), "")


def without_password(uri: str) -> str:
    """The address as it may be printed and stored."""
    parts = urlsplit(uri)
    return uri.replace(f":{parts.password}@", ":***@") if parts.password else uri
