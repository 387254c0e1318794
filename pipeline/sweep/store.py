"""Where the trials of sweeps are kept: a file, or a database that machines share."""

import logging
import os
import random
import time
import warnings
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.paths import project_root
from pipeline.tracking import address as store_address
from pipeline.tracking.address import TrackingError, plainly, without_password

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

VARIABLE = "PIPELINE_SWEEPS"
"""Environment variable: the database that machines share, with a password if need be."""
FILE = "sweeps.db"
HEARTBEAT, GRACE = 15, 60
"""Seconds between a worker's signs of life, and after the last one until its trial is repeated."""
ANSWER_SECONDS = 30.0
"""How long the store may take to answer a question."""
OPENINGS = 10
"""How often an empty store is opened that others are filling with Optuna's tables just then."""


def address() -> str:
    """Where the trials are kept: ``PIPELINE_SWEEPS``, else ``sweeps.db`` in the root."""
    given = os.environ.get(VARIABLE, "").strip()
    if not given:
        return f"{store_address.SQLITE}{project_root() / FILE}"
    if urlsplit(given).scheme.partition("+")[0] not in ("sqlite", "postgresql", "mysql"):
        raise ValueError(
            f"{VARIABLE} is {without_password(given)}: name a database, such as"
            " postgresql+pg8000://USER:PASSWORD@HOST/DATABASE, or sqlite:////absolute/path.db"
        )
    return given


def open_store() -> "RDBStorage":
    """The store, made where there is none.

    Raises:
        ValueError: it cannot be used.
    """
    from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError

    uri = address()
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)  # farewells to dead connections
    try:
        store_address.probe(uri)
        for _ in range(OPENINGS):
            try:
                return _opened(uri)
            except (IntegrityError, OperationalError, ProgrammingError) as error:
                if not _made_by_others(error):
                    raise
            time.sleep(random.uniform(0.1, 1.0))  # not in step with whom it has met
        return _opened(uri)
    except (SQLAlchemyError, ModuleNotFoundError, TrackingError) as error:
        raise ValueError(
            f"the sweeps' store {without_password(uri)} cannot be used: {plainly(str(error))}"
        ) from None


def _opened(uri: str) -> "RDBStorage":
    from optuna.exceptions import ExperimentalWarning
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # Optuna's word for its heartbeat
        return RDBStorage(
            uri,
            engine_kwargs={"pool_pre_ping": True, "connect_args": _limits(uri)},
            heartbeat_interval=HEARTBEAT,
            grace_period=GRACE,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=2),
        )


def _made_by_others(error: Exception) -> bool:
    """Whether Optuna has met another process that makes the same tables, or their first rows."""
    said = str(error)
    return any(sign in said for sign in ("already exists", "duplicate key", "UNIQUE constraint"))


def _limits(uri: str) -> dict[str, object]:
    """Nobody waits for ever for a store that has gone without a word; these drivers can be told."""
    scheme = urlsplit(uri).scheme
    return {"timeout": ANSWER_SECONDS} if scheme in ("sqlite", "postgresql+pg8000") else {}
