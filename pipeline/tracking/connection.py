"""Opening the MLflow store, which is made if it does not exist yet."""

import logging
import os
import shutil
from typing import TYPE_CHECKING, cast

from pipeline.running.entry import TELEMETRY_OFF
from pipeline.tracking import address
from pipeline.tracking.address import TrackingError
from pipeline.tracking.store import AnsweringClient, Store

if TYPE_CHECKING:
    from mlflow import MlflowClient

QUIET = {
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""Keeps MLflow's links and bars out of the output of a stage."""

PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}
"""A server that is away holds a call up for seconds rather than minutes; see ``delivery``.

A minute of silence it may need: to pass a checkpoint of 600 MB on to an object store.
"""


def connect(experiment: str) -> Store:
    """Open the store; it and the experiment are made if they do not exist yet.

    Raises:
        TrackingError: it cannot be reached or used; one sentence that names it.
    """
    uri = address.tracking_uri()
    address.probe(uri)
    for name, value in (TELEMETRY_OFF | QUIET | PATIENCE).items():
        os.environ.setdefault(name, value)  # MLflow reads them when it is imported
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    for name in ("mlflow.store.db.utils", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)  # "Creating initial tables..."
    try:
        with address.one_at_a_time(uri):
            _make(uri)
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            experiment_id = _experiment(client, experiment, uri)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise address.unusable(uri, error) from error
    own = cast("MlflowClient", AnsweringClient(client, uri))
    return Store(client=own, uri=uri, experiment_id=experiment_id)


def _make(uri: str) -> None:
    """Make the file of a sqlite store that does not exist yet.

    Under its own name it appears only with all its tables: MLflow cannot use a store whose
    making was cut off, nor repair it.
    """
    from mlflow import MlflowClient

    file = address.database_file(uri)
    if file is None or file.exists():
        return
    room = file.with_name(f"{file.name}.making")  # with the journal that a kill leaves
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir()
    made = room / file.name
    MlflowClient(tracking_uri=f"{address.SQLITE}{made}").search_experiments()
    made.replace(file)
    room.rmdir()


def _experiment(client: "MlflowClient", name: str, uri: str) -> str:
    """Id of the experiment ``name``, which is made if there is none."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            place = address.artifact_location(uri)
            return str(client.create_experiment(name, artifact_location=place))
        except MlflowException as error:
            found = client.get_experiment_by_name(name)
            if found is None:  # not because another process was faster
                raise error
    if found.lifecycle_stage != "active":
        raise TrackingError(
            f"the experiment '{name}' in {address.without_password(uri)} was deleted:"
            " restore it (`mlflow experiments restore`) or name another in tracking.experiment"
        )
    return str(found.experiment_id)


def make_tables(uri: str) -> None:
    """Let MLflow make its tables in the database ``uri``, if they are not there yet.

    Raises:
        TrackingError: it cannot be reached or used.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    for name in ("mlflow.store.db.utils", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        MlflowClient(tracking_uri=uri, registry_uri=uri).search_experiments()
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        raise address.unusable(uri, error) from error
