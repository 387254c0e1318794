"""What people name when they compare or promote: a run, a registered version, a checkpoint.

3a9f...                 an MLflow run, of a training or of an evaluation
3, @champion            a version of the registered model, by number or alias
runs/train/best.pt      a checkpoint
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.params.tracking import TrackingConfig
from pipeline.registry.models import Registry, Version
from pipeline.registry.weights import find
from pipeline.running.files import read_json
from pipeline.tracking.connection import connect
from pipeline.tracking.layout import flatten
from yolov2.runs.folder import PARAMETERS

DETECTIONS = "evaluate/detections.parquet"
"""Where an evaluation's run has the detections that it was computed from."""

_VERSION = re.compile(r"(?:models:/(?P<name>[^/@]+)/?)?(?:@(?P<alias>[\w.-]+)|(?P<number>\d{1,9}))")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Something that detects, and what is known of it.

    ``run_id`` is its evaluation in MLflow and ``version`` its number in the registry, if any;
    ``weights`` a checkpoint on this disk. ``parameters`` have flat names: ``train.lr``.
    """

    reference: str
    name: str
    parameters: Mapping[str, str]
    run_id: str | None = None
    version: int | None = None
    weights: Path | None = None


def find_candidate(config: TrackingConfig, reference: str) -> Candidate:
    """What ``reference`` names.

    Raises:
        ValueError: nothing of that name; says what is possible.
        TrackingError: the store cannot be used.
    """
    path = Path(reference)
    if path.is_file():
        return _of_file(path)
    from yolov2.runtime.model_file import SUFFIXES  # needs torch

    if path.suffix in SUFFIXES or path.is_dir():
        raise ValueError(f"{reference}: no such file; name a checkpoint, a version or a run")
    wanted = _VERSION.fullmatch(reference)
    if wanted:
        return _of_version(config, reference, wanted)
    return _of_run(config, reference)


def download_detections(config: TrackingConfig, run_id: str, folder: Path) -> Path | None:
    """The file of detections of an evaluation's run, in ``folder``; None if it has none."""
    store = connect(config.experiment)
    parent = DETECTIONS.rpartition("/")[0]
    if DETECTIONS not in {item.path for item in store.client.list_artifacts(run_id, parent)}:
        return None
    return Path(store.client.download_artifacts(run_id, DETECTIONS, str(folder)))


def find_checkpoint(config: TrackingConfig, candidate: Candidate) -> Path | None:
    """The candidate's checkpoint; that of a registered version is fetched from the store.

    None if it is nowhere that we know of.

    Raises:
        TrackingError: the store cannot be used.
    """
    if candidate.weights is not None:
        return candidate.weights
    number = candidate.version
    if number is None:
        version = Registry(config).find("evaluation_run", str(candidate.run_id))
        number = version.number if version else None
    if number is None:
        return None
    return find(f"models:/{config.model_name}/{number}", (".pt", ".onnx"))


def _of_file(path: Path) -> Candidate:
    """A checkpoint or graph; its settings are in the run folder, if it lies in one."""
    settings = path.parent / PARAMETERS
    known = read_json(settings, "`yolov2 train`") if settings.exists() else {}
    return Candidate(reference=str(path), name=str(path), parameters=flatten(known), weights=path)


def _of_version(config: TrackingConfig, reference: str, wanted: "re.Match[str]") -> Candidate:
    registry = Registry(config)
    if wanted["name"] not in (None, registry.name):
        raise ValueError(
            f"{reference}: the project's model is called {registry.name} (tracking.model_name)"
        )
    version: Version | None
    if wanted["alias"]:
        version = registry.with_alias(wanted["alias"])
        known = ", ".join(f"@{alias}" for alias in registry.aliases()) or "none yet"
    else:
        version = registry.with_number(int(wanted["number"]))
        known = ", ".join(map(str, registry.numbers())) or "none yet"
    if version is None:
        raise ValueError(f"{reference}: {registry.name} has no such version (it has: {known})")
    run_id = version.tags.get("evaluation_run")
    run = registry.store.find_run(run_id) if run_id else None
    return Candidate(
        reference=reference,
        name=f"version {version.number}",
        parameters=dict(run.data.params) if run else {},
        run_id=run_id if run else None,
        version=version.number,
    )


def _of_run(config: TrackingConfig, reference: str) -> Candidate:
    store = connect(config.experiment)
    run: Any = store.find_run(reference) if reference.isalnum() else None
    if run is not None and run.data.tags.get("stage") == "train":
        evaluated = {"stage": "evaluate", "mlflow.parentRunId": reference}
        training, run = run, store.find_finished(evaluated)
        if run is None:
            raise ValueError(
                f"run {reference} ({training.info.run_name}) is a training without a finished"
                " evaluation: run `dvc repro evaluate`, or name its checkpoint"
            )
    if run is None:
        raise ValueError(
            f"{reference}: neither a file, nor a version of the model (3, @champion), nor a run of"
            f" the experiment {config.experiment}"
        )
    return Candidate(
        reference=reference,
        name=str(run.info.run_name),
        parameters=dict(run.data.params),
        run_id=str(run.info.run_id),
    )
