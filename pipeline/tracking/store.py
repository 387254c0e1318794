"""The open MLflow store: the few calls that writing and finding runs needs.

All of it goes through a client that knows its address, never through MLflow's active run.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.tracking import address
from pipeline.tracking.address import TrackingError
from pipeline.tracking.layout import Data

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

METRICS_A_CALL = 1000
PARAMETERS_A_CALL = 100
"""What MLflow takes in one call."""

TimedRow = tuple[int, Mapping[str, float], int]
"""Figures of one step by name: the step, the figures, milliseconds since the epoch."""


def now() -> int:
    """Milliseconds since the epoch."""
    return int(time.time() * 1000)


class AnsweringClient:
    """MLflow's client, of which whatever goes wrong with the store is a ``TrackingError``.

    The boundary to MLflow: no caller has to know its errors, SQLAlchemy's or a socket's.
    """

    def __init__(self, client: "MlflowClient", uri: str) -> None:
        self._client, self._uri = client, uri

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._client, name)

        @wraps(method)
        def call(*arguments: Any, **more: Any) -> Any:
            with answering(self._uri):
                return method(*arguments, **more)

        return call


@contextmanager
def answering(uri: str) -> Iterator[None]:
    """What goes wrong with the store inside, as ``TrackingError``."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise address.unusable(uri, error) from error


@dataclass(frozen=True, kw_only=True)
class Store:
    """Client, address, and the experiment that runs go to."""

    client: "MlflowClient"
    uri: str
    experiment_id: str

    def find_run(self, run_id: str) -> "Run | None":
        """The run with this id, None if the experiment has none (or a deleted one)."""
        return self._first(f"attributes.run_id = '{run_id}'")

    def find_finished(self, tags: Mapping[str, str], *, oldest: bool = False) -> "Run | None":
        """The newest (or oldest) finished run with these tags."""
        wanted = [f"tags.`{name}` = '{value}'" for name, value in tags.items()]
        order = "ASC" if oldest else "DESC"
        return self._first(" and ".join(["attributes.status = 'FINISHED'", *wanted]), order)

    def find_original(self, tags: Mapping[str, str]) -> "Run | None":
        """The newest finished run with these tags; one that repeats another only if it is alone."""
        wanted = [f"tags.`{name}` = '{value}'" for name, value in tags.items()]
        found = self.client.search_runs(
            [self.experiment_id],
            " and ".join(["attributes.status = 'FINISHED'", *wanted]),
            max_results=100,
            order_by=["attributes.start_time DESC"],
        )
        own = [run for run in found if not run.data.tags.get("reproduces")]
        return next(iter([*own, *found]), None)

    def find_any(self, tags: Mapping[str, str]) -> "Run | None":
        """The newest run with these tags, whatever its status."""
        return self._first(" and ".join(f"tags.`{n}` = '{value}'" for n, value in tags.items()))

    def _first(self, wanted: str, order: str = "DESC") -> "Run | None":
        by = [f"attributes.start_time {order}"]
        found = self.client.search_runs([self.experiment_id], wanted, max_results=1, order_by=by)
        return found[0] if found else None

    def begin_run(self, name: str, tags: Mapping[str, str]) -> "Run":
        """A new run. It has its tags from the first moment, so that ``reap`` never misses it."""
        return self.client.create_run(self.experiment_id, run_name=name, tags=dict(tags))

    def log_metrics(
        self,
        run_id: str,
        rows: Iterable[TimedRow],
        *,
        model_id: str | None = None,
        data: Data | None = None,
    ) -> None:
        """Figures of steps; on request also as figures of a model on data.

        A call of MLflow is one transaction, and no row is split between two of them.
        """
        from mlflow.entities import Metric

        about = {"run_id": run_id, "model_id": model_id}
        if data is not None:
            about |= {"dataset_name": data.name, "dataset_digest": data.digest}
        call: list[Metric] = []
        for step, row, at in rows:
            figures = [Metric(name, value, at, step, **about) for name, value in row.items()]
            if call and len(call) + len(figures) > METRICS_A_CALL:
                self._send(run_id, call)
                call = []
            call += figures
        if call:
            self._send(run_id, call)

    def _send(self, run_id: str, metrics: list[Any]) -> None:
        for start in range(0, len(metrics), METRICS_A_CALL):  # more than one only for a huge row
            self.client.log_batch(run_id, metrics=metrics[start : start + METRICS_A_CALL])

    def newest_step(self, run_id: str, metric: str) -> int:
        """The greatest step of a curve, -1 where it has none."""
        history = self.client.get_metric_history(run_id, metric)
        return max((int(point.step) for point in history), default=-1)

    def probe(self) -> None:
        """Return when the store answers; ``TrackingError`` within seconds when it does not."""
        address.probe(self.uri)

    def end(self, run_id: str, status: str, cause: BaseException | None) -> None:
        """Close a run. After ``cause`` a store that does not answer is at most a note to it."""
        try:
            self.client.set_terminated(run_id, status)
        except TrackingError as error:
            if cause is None:
                raise
            if not isinstance(cause, TrackingError):  # it would say the same
                cause.add_note(f"and its run could not be closed: {error}")

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
