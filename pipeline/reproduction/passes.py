"""What the store knows of a finished pass of the pipeline: training, evaluation, export.

A reproduction reads the pass that it repeats, and its own, by the same functions.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.params.tracking import TrackingConfig
from pipeline.registry.references import find_candidate
from pipeline.tracking.connection import connect
from pipeline.tracking.delivery import ARTIFACTS
from pipeline.tracking.lifecycle import IDENTITY, IDENTITY_FILE, PATCH_FILE
from pipeline.tracking.store import Store
from pipeline.tracking.training import WEIGHTS_TAG
from yolov2.config.section import require
from yolov2.network.checkpoint import load_detector
from yolov2.runs.folder import BEST, ENVIRONMENT
from yolov2.runs.identity import weights_hash

NUMBER_FORMAT = "number_format"
NOT_CARRIED = "# new file not in this patch: "
SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Source:
    """The run that a person named, and the code it ran: a commit and a patch of it."""

    run_id: str
    name: str
    commit: str
    patch: bytes


@dataclass(frozen=True, kw_only=True)
class Pass:
    """A training and what followed it; what is not known is empty.

    ``exported`` is the sha256 of each file by its format, ``data`` the digest of each split,
    ``parameters`` have flat names, ``split`` is the one that was evaluated. ``hardware`` is
    the training's, with what ``train.amp`` became; ``threads`` each stage's number of them.
    """

    training: str
    evaluation: str | None = None
    split: str | None = None
    weights: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    exported: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    hardware: Mapping[str, str] = field(default_factory=dict)
    threads: Mapping[str, str] = field(default_factory=dict)


def find_source(config: TrackingConfig, reference: str) -> tuple[Source, Pass]:
    """The run that ``reference`` names (a run id, a version, an alias) and all of its pass.

    Raises:
        ValueError: it is nothing that can be repeated; says why.
        TrackingError: the store cannot be used.
    """
    store = connect(config.experiment)
    run: Any = store.find_run(reference) if reference.isalnum() else None
    if run is None:
        run_id = find_candidate(config, reference).run_id
        if run_id is None:
            raise ValueError(
                f"{reference}: its evaluation is not a run in this store: name a run of a training"
                " or an evaluation, or a version of the model (3, @champion)"
            )
        run = store.client.get_run(run_id)
    training, evaluation = _pair(store, run)
    source = Source(
        run_id=str(run.info.run_id),
        name=str(run.info.run_name),
        commit=_commit(run),
        patch=_patch(store, run),
    )
    exported = _related(store, training, "export", source.commit)
    return source, read_pass(store, training, evaluation, exported)


def _pair(store: Store, run: Any) -> tuple[Any, Any]:
    """The training's run and the evaluation's (or None)."""
    name, stage = f"run {run.info.run_id} ({run.info.run_name})", run.data.tags.get("stage")
    require(
        stage in ("train", "evaluate"),
        f"{name} is of the stage '{stage}': name the run of a training or an evaluation",
    )
    require(
        run.info.status == "FINISHED",
        f"{name} is {run.info.status}: only a FINISHED run has a result to compare with",
    )
    _commit(run)
    if stage == "train":
        return run, _related(store, run, "evaluate", _commit(run))
    training = store.find_run(str(run.data.tags.get("mlflow.parentRunId")))
    require(training is not None, f"{name}: its training is not in this store any more")
    return training, run


def _related(store: Store, training: Any, stage: str, commit: str) -> Any:
    """The first run of ``stage`` below a training, of the same commit if there is one."""
    below = {"stage": stage, "mlflow.parentRunId": str(training.info.run_id)}
    same = store.find_finished(below | {"git.commit": commit}, oldest=True)
    return same or store.find_finished(below, oldest=True)


def _commit(run: Any) -> str:
    commit = run.data.tags.get("git.commit")
    if not commit:
        imported = run.data.tags.get("imported") == "true"
        raise ValueError(
            f"run {run.info.run_id} ({run.info.run_name}) has no git commit"
            + (": it was imported from files" if imported else "")
            + ", so its code is not known; it can be compared (`pipeline compare`), but"
            " not reproduced"
        )
    return str(commit)


def _patch(store: Store, run: Any) -> bytes:
    """What the run's work tree had beyond its commit."""
    if run.data.tags.get("git.dirty") != "true":
        return b""
    run_id = str(run.info.run_id)
    patch = read_artifact(store, run_id, f"{IDENTITY}/{PATCH_FILE}")
    if patch is None:
        raise ValueError(
            f"run {run_id} had uncommitted changes, but their patch ({IDENTITY}/{PATCH_FILE}) is"
            " not among its files: its code is not known"
        )
    lines = patch.decode(errors="surrogateescape").splitlines()
    lost = [line.removeprefix(NOT_CARRIED) for line in lines if line.startswith(NOT_CARRIED)]
    if lost:
        more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
        raise ValueError(
            f"run {run_id} had new files that its patch does not carry ({', '.join(lost[:SHOWN])}"
            f"{more}): too large or too many; commit such files, or add them to DVC, before"
            " training"
        )
    return patch


def read_pass(store: Store, training: Any, evaluation: Any, exported: Any = None) -> Pass:
    """What three runs say; the last two may be None."""
    last = evaluation or training
    tags = last.data.tags
    stages = {"train": training, "evaluate": evaluation, "export": exported}
    about = {stage: _identity(store, run) for stage, run in stages.items() if run is not None}
    hardware = {stage: it.get("hardware", {}) for stage, it in about.items()}
    environment = _json(store, str(training.info.run_id), f"{ARTIFACTS}/{ENVIRONMENT}")
    became = {name: str(environment[name]) for name in (NUMBER_FORMAT,) if name in environment}
    report = _json(store, str(exported.info.run_id), "export.json") if exported else {}
    return Pass(
        training=str(training.info.run_id),
        evaluation=str(evaluation.info.run_id) if evaluation else None,
        split=evaluation.data.tags.get("split") if evaluation else None,
        weights=_weights(store, training),
        metrics=dict(evaluation.data.metrics) if evaluation else {},
        exported=hashes_of(report),
        parameters=dict(training.data.params) | dict(last.data.params),
        data={n.removeprefix("data."): v for n, v in tags.items() if n.startswith("data.")},
        versions=about["train"].get("versions", {}),
        hardware={**hardware["train"], **became},
        threads={stage: it["threads"] for stage, it in hardware.items() if "threads" in it},
    )


def hashes_of(report: Mapping[str, Any]) -> dict[str, str]:
    """sha256 of each file by format, from the content of ``export.json``."""
    return {name: str(item["sha256"]) for name, item in report.get("artefacts", {}).items()}


def _weights(store: Store, training: Any) -> str | None:
    """The tag; of runs that are older than it, the hash of the checkpoint that they stored."""
    told = training.data.tags.get(WEIGHTS_TAG)
    if told:
        return str(told)
    content = read_artifact(store, str(training.info.run_id), f"{ARTIFACTS}/{BEST}")
    if content is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / BEST
        file.write_bytes(content)
        return weights_hash(load_detector(file).network)


def _identity(store: Store, run: Any) -> dict[str, Any]:
    return _json(store, str(run.info.run_id), f"{IDENTITY}/{IDENTITY_FILE}")


def _json(store: Store, run_id: str, path: str) -> dict[str, Any]:
    content = read_artifact(store, run_id, path)
    return dict(json.loads(content)) if content is not None else {}


def read_artifact(store: Store, run_id: str, path: str) -> bytes | None:
    """A file of a run; None if it has none at ``path``."""
    parent = path.rpartition("/")[0] or None
    with tempfile.TemporaryDirectory() as folder:
        if path not in {item.path for item in store.client.list_artifacts(run_id, parent)}:
            return None
        return Path(store.client.download_artifacts(run_id, path, folder)).read_bytes()
