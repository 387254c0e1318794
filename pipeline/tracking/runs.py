"""Runs in MLflow: one for each training, one complete row for each evaluation.

DVC decides what is computed, MLflow records what was. A training owns its run, live and
resumable; an evaluation never writes into it but opens a run of its own. Where a result came
out of DVC's cache and this store has never seen its training, the run is made again from files.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.params.tracking import TrackingConfig
from pipeline.paths import HISTORY
from pipeline.tracking import layout
from pipeline.tracking.connection import connect
from pipeline.tracking.experiment import arrange
from pipeline.tracking.lifecycle import begin, begin_below, ending, write_description
from pipeline.tracking.marks import run_tags, split_tags
from pipeline.tracking.origin import headline
from pipeline.tracking.reap import reap, require_free
from pipeline.tracking.store import Store, now
from pipeline.tracking.training import TrainingRun
from pipeline.workspace.identity import RunIdentity

if TYPE_CHECKING:
    from mlflow.entities import Run


@contextmanager
def open_training_run(
    config: TrackingConfig,
    *,
    parameters: Mapping[str, Any],
    key: str,
    identity: RunIdentity,
    run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[TrainingRun]:
    """The run that a training logs to; with ``run_id`` an earlier one goes on.

    It ends as its ``status`` says, FAILED by an exception, or KILLED by SIGTERM or Ctrl-C.
    Parameters keep the values that a run began with; others on resuming become tags
    ``resumed.<name>``. A ``run_id`` that this store does not have begins a new run.

    Raises:
        TrackingError: the store cannot be used, or another process is writing to the run.
    """
    store = connect(config.experiment)
    settings = layout.without(parameters, layout.NOT_OF_TRAINING)
    marks = run_tags("train", key, identity) | dict(tags or {})
    run = (store.find_run(run_id) if run_id else None) or _unfinished(store, marks)
    if run is not None:
        require_free(run)
    reap(store.client, store.experiment_id, key)
    if run is None:
        run = begin(store, settings, marks, identity)
    found = str(run.info.run_id)
    made: list[TrainingRun] = []
    with ending(store, found, lambda: made[0].status):
        write_description(store, run, settings, marks, identity)
        contexts = {"train": "training", "val": "validation"}
        store.log_inputs(found, layout.data_inputs(parameters, identity, contexts))
        model_id = store.model_of(found, layout.flatten(settings))
        arrange(store)
        made.append(TrainingRun(store=store, run_id=found, model_id=model_id))
        yield made[0]


def log_evaluation(
    config: TrackingConfig,
    *,
    training_run: Mapping[str, Any],
    parameters: Mapping[str, Any],
    metrics: Mapping[str, float],
    artifacts: Iterable[Path],
    identity: RunIdentity,
    history: Path | None = HISTORY,
    tags: Mapping[str, str] | None = None,
) -> str:
    """A new run with all that describes an evaluation; its id.

    ``training_run`` is the content of ``training.json`` (or of version 0.1's ``train_run.json``),
    and ``history`` the training's curve, if its run has to be made again. A run that an earlier
    call with the same tag ``recording`` has begun goes on. ``parameters`` are all settings, nested,
    of which ``evaluate.split`` names the split; ``metrics`` have names without it: ``AP``,
    ``AP50``, ``AP/<class>``. ``artifacts`` are files, stored as they lie below their common folder.
    """
    training = resolve_training_run(config, training_run, history, identity)
    store = connect(config.experiment)
    split = str(parameters["evaluate"]["split"])
    settings = layout.without(parameters, layout.NOT_OF_EVALUATION)
    figures = layout.evaluation_metrics(split, metrics)
    marks = run_tags("evaluate", str(training_run["key"]), identity) | split_tags(split)
    marks |= dict(tags or {})
    title = headline(split, figures)
    run = _unfinished(store, marks) or begin_below(
        store, training, settings, marks, identity, title
    )
    run_id = str(run.info.run_id)
    with ending(store, run_id):
        write_description(store, run, settings, marks, identity)
        data = layout.data_inputs(parameters, identity, {split: "evaluation"})
        store.log_inputs(run_id, data, training[1])
        # at a moment that stays: a figure that is sent again adds nothing
        row = (0, figures, int(run.info.start_time))
        store.log_metrics(run_id, [row], model_id=training[1], data=next(iter(data), None))
        store.log_files(run_id, layout.placed(artifacts))
    arrange(store, split)
    return run_id


def log_export(
    config: TrackingConfig,
    *,
    training_run: Mapping[str, Any],
    parameters: Mapping[str, Any],
    metrics: Mapping[str, float | None],
    artifacts: Iterable[Path],
    identity: RunIdentity,
    history: Path | None = HISTORY,
    tags: Mapping[str, str] | None = None,
) -> str:
    """A new run of an export, below its training: figures, and the report by file; its id.

    The other arguments are those of ``log_evaluation``.
    """
    training = resolve_training_run(config, training_run, history, identity)
    store = connect(config.experiment)
    settings = layout.without(parameters, layout.NOT_OF_EXPORT)
    marks = run_tags("export", str(training_run["key"]), identity) | dict(tags or {})
    marks |= split_tags(str(parameters["evaluate"]["split"]))
    run = _unfinished(store, marks) or begin_below(store, training, settings, marks, identity)
    run_id = str(run.info.run_id)
    with ending(store, run_id):
        write_description(store, run, settings, marks, identity)
        store.log_metrics(run_id, [(0, layout.finite(metrics), int(run.info.start_time))])
        store.log_files(run_id, layout.placed(artifacts))
    return run_id


def log_report(
    config: TrackingConfig,
    stage: str,
    name: str,
    figures: Mapping[str, float],
    tags: Mapping[str, str],
    files: Iterable[Path],
) -> str:
    """A new run (``stage``: compare, promote) with figures and pages; its id."""
    store = connect(config.experiment)
    run = store.begin_run(name, dict(tags) | {"stage": stage})
    run_id = str(run.info.run_id)
    with ending(store, run_id):
        store.log_metrics(run_id, [(0, layout.finite(figures), now())])
        store.log_files(run_id, layout.placed(files))
    return run_id


def resolve_training_run(
    config: TrackingConfig,
    training_run: Mapping[str, Any],
    history: Path | None,
    identity: RunIdentity,
) -> tuple[str, str]:
    """Run id and model id, in this store, of the training that ``training.json`` tells of.

    The newest finished run of its key, or the one that version 0.1 has named; else one made from
    the files, tagged ``imported``.
    """
    store = connect(config.experiment)
    known = {"stage": "train", "dvc.key": str(training_run["key"])}
    named = training_run.get("run_id")
    run = (store.find_run(named) if named else None) or store.find_original(known)
    if run is not None:
        return str(run.info.run_id), store.model_of(run.info.run_id)
    with open_training_run(
        config,
        parameters=training_run["parameters"],
        key=training_run["key"],
        identity=RunIdentity(data_digest=identity.data_digest, data=identity.data),
        tags={"imported": "true"} | ({"imported.run_id": named} if named else {}),
    ) as imported:
        if history is not None and history.exists():
            imported.log_history(history)
    return imported.run_id, imported.model_id


def _unfinished(store: Store, marks: Mapping[str, str]) -> "Run | None":
    """The run that was begun for the same recording: its recorder died, or its stage goes on."""
    return store.find_any({"recording": marks["recording"]}) if "recording" in marks else None
