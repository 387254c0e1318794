"""The open MLflow store: the few calls that writing and finding runs needs.

All of it goes through a client that knows its address, never through MLflow's active run.
"""

import json
import logging
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import store_address
from pipeline.run_layout import Data
from pipeline.stage import TELEMETRY_OFF
from pipeline.store_address import TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

METRICS_A_CALL = 1000
PARAMETERS_A_CALL = 100
"""What MLflow takes in one call."""


QUIET = {
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""Keeps MLflow's links and bars out of the output of a stage."""


@dataclass(frozen=True, kw_only=True)
class Store:
    """Client, address, and the experiment that runs go to."""

    client: "MlflowClient"
    uri: str
    experiment_id: str

    def find_run(self, run_id: str) -> "Run | None":
        """The run with this id, None if the experiment has none (or a deleted one)."""
        return self._first(f"attributes.run_id = '{run_id}'")

    def find_finished(self, tags: Mapping[str, str]) -> "Run | None":
        """The newest finished run with these tags."""
        wanted = [f"tags.`{name}` = '{value}'" for name, value in tags.items()]
        return self._first(" and ".join(["attributes.status = 'FINISHED'", *wanted]))

    def _first(self, wanted: str) -> "Run | None":
        found = self.client.search_runs([self.experiment_id], wanted, max_results=1)
        return found[0] if found else None

    def log_metrics(
        self,
        run_id: str,
        rows: Iterable[tuple[int, Mapping[str, float]]],
        *,
        model_id: str | None = None,
        data: Data | None = None,
    ) -> None:
        """Figures by name, each with its step; on request also as figures of a model on data."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        about = {"run_id": run_id, "model_id": model_id}
        if data is not None:
            about |= {"dataset_name": data.name, "dataset_digest": data.digest}
        figures = [Metric(n, v, now, step, **about) for step, row in rows for n, v in row.items()]
        for start in range(0, len(figures), METRICS_A_CALL):
            some = figures[start : start + METRICS_A_CALL]
            self.client.log_batch(run_id, metrics=some)

    def log_parameters(self, run: "Run", settings: Mapping[str, str]) -> None:
        """Parameters of a run; MLflow never changes one, so another value becomes a tag."""
        from mlflow.entities import Param

        known = run.data.params
        new = [Param(name, value) for name, value in settings.items() if name not in known]
        for start in range(0, len(new), PARAMETERS_A_CALL):
            self.client.log_batch(run.info.run_id, params=new[start : start + PARAMETERS_A_CALL])
        changed = {n: v for n, v in settings.items() if known.get(n, v) != v}
        self.set_tags(run.info.run_id, {f"resumed.{name}": v for name, v in changed.items()})

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run."""
        from mlflow.entities import RunTag

        marks = [RunTag(name, value) for name, value in tags.items()]
        for start in range(0, len(marks), PARAMETERS_A_CALL):
            self.client.log_batch(run_id, tags=marks[start : start + PARAMETERS_A_CALL])

    def log_inputs(self, run_id: str, data: Iterable[Data], model_id: str | None = None) -> None:
        """Name what a run used: data sets, and the model that it measured."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput

        inputs = [
            DatasetInput(
                Dataset(
                    name=each.name,
                    digest=each.digest,
                    source_type="local",
                    source=json.dumps({"uri": each.source}),
                    profile=json.dumps(each.counts),
                ),
                [InputTag("mlflow.data.context", each.context)],
            )
            for each in data
        ]
        models = [LoggedModelInput(model_id)] if model_id else None
        self.client.log_inputs(run_id, inputs, models)

    def model_of(self, run_id: str, parameters: dict[str, str] | None = None) -> str:
        """The id of the model that a training makes: its first one, begun here if it has none."""
        outputs = self.client.get_run(run_id).outputs  # a search does not promise to fill them
        if outputs is not None and outputs.model_outputs:
            return str(outputs.model_outputs[0].model_id)
        return self.new_model(run_id, parameters)

    def new_model(self, run_id: str, parameters: dict[str, str] | None = None) -> str:
        """Begin a model of a training, its files still to come; its id."""
        from mlflow.entities import LoggedModelOutput

        model = self.client.create_logged_model(
            self.experiment_id, name="detector", source_run_id=run_id, params=parameters
        )
        self.client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        return str(model.model_id)

    def log_files(self, run_id: str, placed: Mapping[Path, str | None]) -> None:
        """Store files, each in its folder (None: at the top)."""
        for file, folder in placed.items():
            self.client.log_artifact(run_id, str(file), folder)

    def log_text(self, run_id: str, text: str, name: str, folder: str) -> None:
        """Store ``text`` as a file, bytes that are not UTF-8 as they were."""
        with tempfile.TemporaryDirectory() as temporary:
            file = Path(temporary) / name
            file.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
            self.client.log_artifact(run_id, str(file), folder)


def connect(experiment: str) -> Store:
    """Open the store; it and the experiment are made if they do not exist yet.

    Raises:
        TrackingError: it cannot be reached or used; one sentence that names it.
    """
    uri = store_address.tracking_uri()
    store_address.probe(uri)
    for name, value in (TELEMETRY_OFF | QUIET).items():
        os.environ.setdefault(name, value)  # MLflow reads them when it is imported
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    for name in ("mlflow.store.db.utils", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)  # "Creating initial tables..."
    try:
        with store_address.one_at_a_time(uri):
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            experiment_id = _experiment(client, experiment, uri)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise store_address.unusable(uri, error) from error
    return Store(client=client, uri=uri, experiment_id=experiment_id)


def _experiment(client: "MlflowClient", name: str, uri: str) -> str:
    """Id of the experiment ``name``, which is made if there is none."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            place = store_address.artifact_location(uri)
            return str(client.create_experiment(name, artifact_location=place))
        except MlflowException as error:
            found = client.get_experiment_by_name(name)
            if found is None:  # not because another process was faster
                raise error
    if found.lifecycle_stage != "active":
        raise TrackingError(
            f"the experiment '{name}' in {store_address.without_password(uri)} was deleted:"
            " restore it (`mlflow experiments restore`) or name another in tracking.experiment"
        )
    return str(found.experiment_id)
