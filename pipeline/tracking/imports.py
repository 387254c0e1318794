"""Runs of a folder that ``yolov2 train`` and ``yolov2 evaluate`` left on a machine without MLflow.

A second import of the same folder adds nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.params.tracking import TrackingConfig
from pipeline.running.files import read_json
from pipeline.tracking.connection import connect
from pipeline.tracking.runs import log_evaluation, open_training_run
from pipeline.tracking.training import WEIGHTS_TAG
from pipeline.workspace.identity import RunIdentity
from yolov2.evaluation.figures import flat_metrics
from yolov2.files import file_sha256
from yolov2.runs.folder import (
    BEST,
    ENVIRONMENT,
    EVALUATION,
    HASHES,
    HISTORY,
    LAST,
    METRICS,
    PARAMETERS,
    SPEED,
    STEPS,
)

REPORT = "evaluate"
"""Folder of the evaluation's curves and pictures in a run folder."""


def import_folder(config: TrackingConfig, folder: Path) -> list[str]:
    """Make runs of a run folder; what was done, a line a run.

    Raises:
        ValueError: the folder holds no complete training.
        TrackingError: the store cannot be used.
    """
    if not folder.is_dir():
        raise ValueError(f"no such folder: {folder}")
    hashes = read_json(folder / HASHES, "`yolov2 train`, which writes it when it is complete")
    parameters = read_json(folder / PARAMETERS, "`yolov2 train`")
    identity = _identity(folder, hashes)
    training, line = _import_training(config, folder, parameters, hashes, identity)
    if not (folder / METRICS).exists():
        return [line, f"no evaluation: {folder / METRICS} does not exist"]
    return [line, _import_evaluation(config, folder, training, identity)]


def _import_training(
    config: TrackingConfig,
    folder: Path,
    parameters: Mapping[str, Any],
    hashes: Mapping[str, Any],
    identity: RunIdentity,
) -> tuple[dict[str, Any], str]:
    """What ``train_run.json`` would say of the training, and what was done."""
    store = connect(config.experiment)
    marks = {"imported": "true", "imported.weights": str(hashes["weights"])}
    key = str(hashes["fingerprint"])
    record = {"key": key, "parameters": parameters}
    known = store.find_finished({"dvc.key": key, **marks})
    if known is not None:
        run_id = str(known.info.run_id)
        return record | {"run_id": run_id}, f"training: run {run_id} exists"
    with open_training_run(
        config,
        parameters=parameters,
        key=key,
        identity=identity,
        tags=marks | {WEIGHTS_TAG: str(hashes["weights"])},
    ) as run:
        run.log_tables(folder)
        names = (BEST, LAST, HISTORY, STEPS, SPEED, PARAMETERS, ENVIRONMENT, HASHES)
        pictures = sorted(folder.glob("*.png"))
        run.log_artifacts([*(folder / name for name in names), *pictures], "training")
    return record | {"run_id": run.run_id}, f"training: made run {run.run_id}"


def _import_evaluation(
    config: TrackingConfig, folder: Path, training: Mapping[str, Any], identity: RunIdentity
) -> str:
    scores = read_json(folder / METRICS, "`yolov2 evaluate`")
    digest = file_sha256(folder / METRICS)
    marks = {"imported": "true", "imported.metrics": digest, "imported.run_id": training["run_id"]}
    known = connect(config.experiment).find_finished(marks)
    if known is not None:
        return f"evaluation: run {known.info.run_id} exists"
    file = folder / EVALUATION
    told = read_json(file, "`yolov2 evaluate`") if file.exists() else {}
    settings = told.get("parameters", {}) | {"split": scores["split"]}
    run_id = log_evaluation(
        config,
        training_run=training,
        parameters=dict(training["parameters"]) | {"evaluate": settings},
        metrics=flat_metrics(scores),
        artifacts=[folder / METRICS, *sorted((folder / REPORT).rglob("*"))],
        identity=replace(identity, data_digest=told.get("data", identity.data_digest)),
        history=folder / HISTORY,
        tags=marks,
    )
    return f"evaluation: made run {run_id}"


def _identity(folder: Path, hashes: Mapping[str, Any]) -> RunIdentity:
    """What the folder says of where it comes from."""
    file = folder / ENVIRONMENT
    told = read_json(file, "`yolov2 train`") if file.exists() else {}
    hardware = {
        "system": told.get("platform"),
        "gpu" if told.get("device_type") == "cuda" else "processor": told.get("device"),
        "cuda": told.get("cuda"),
        "cores": told.get("cpu_count"),
    }
    versions = {"python": told.get("python"), **told.get("packages", {})}
    return RunIdentity(
        data_digest=hashes.get("data", {}),
        versions={name: str(value) for name, value in versions.items() if value},
        hardware={name: str(value) for name, value in hardware.items() if value},
        command=" ".join(told.get("command", [])),
    )
