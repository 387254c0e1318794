"""How a run reads in MLflow: names of parameters, metrics, tags and files. No MLflow here.

One meaning has one name in every run, so that the runs table and the compare page line up:
``train/...`` and ``val/...`` are curves over epochs, ``step/...`` over optimiser steps,
``test/...`` (or the evaluated split) are final figures.
"""

import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline import process
from pipeline.identity import RunIdentity

Row = tuple[int, dict[str, float]]
"""A row of a table: its place on the axis (an epoch, say) and its figures by name."""

PARAMETER_LENGTH = 6000
"""Characters of a parameter's value that MLflow stores."""
DIGEST_LENGTH = 36
"""Characters of a data set's digest that MLflow stores."""
DESCRIPTION_LENGTH = 8000
"""Characters of a run's description that MLflow stores."""

TRAINING_COLUMNS = {
    "loss": "train/loss",
    "coord": "train/loss_coord",
    "objectness": "train/loss_objectness",
    "class": "train/loss_class",
    "lr": "train/lr",
    "collisions": "train/collisions",
}
"""What an epoch's row of ``history.csv`` holds, besides epoch, step and validation metrics."""

NOT_OF_TRAINING = ("evaluate", "export", "tracking", "promote", "schedule")
NOT_OF_EXPORT = ("tracking", "promote", "schedule")
NOT_OF_EVALUATION = ("export", *NOT_OF_EXPORT)
"""Sections of ``params.yaml`` that cannot change what the run measures."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """A data set as a run's input: where it is described, what is in it, how it was used.

    ``digest`` has at most 36 characters, all that MLflow stores.
    """

    name: str
    digest: str
    source: str
    counts: Mapping[str, Any]
    context: str


def history_metrics(history: Path, after: int = -1) -> Iterator[Row]:
    """Epoch and metrics of the rows of a ``history.csv`` whose epoch is greater than ``after``.

    At a new best also ``best/...``, which the rows before decide.
    """
    best = -math.inf
    for epoch, row in _rows(history, "epoch", -1):
        row.pop("step", None)
        metrics = row_metrics(row)
        average_precision = row.get("AP", math.nan)  # no column before the first validation
        if average_precision > best:
            best = average_precision
            metrics |= {"best/val_AP": best, "best/epoch": epoch}
        if epoch > after:
            yield epoch, finite(metrics)


def speed_metrics(speed: Path, after: int = -1) -> Iterator[Row]:
    """Epoch and metrics of the rows of a ``speed.csv`` after that epoch."""
    for epoch, row in _rows(speed, "epoch", after):
        yield epoch, finite({f"train/{name}": value for name, value in row.items()})


def step_metrics(steps: Path, after: int = -1) -> Iterator[Row]:
    """Optimiser step and metrics of the rows of a ``steps.csv`` after that step."""
    for step, row in _rows(steps, "step", after):
        metrics = {TRAINING_COLUMNS.get(name, name): value for name, value in row.items()}
        yield step, finite({f"step/{n.removeprefix('train/')}": v for n, v in metrics.items()})


def _rows(file: Path, axis: str, after: int) -> Iterator[Row]:
    table = pd.read_csv(file)
    for record in table[table[axis] > after].to_dict("records"):
        row = {str(name): float(value) for name, value in record.items()}
        yield int(row.pop(axis)), row


def row_metrics(row: Mapping[str, float]) -> dict[str, float]:
    """A row's columns under their names; what is not of training is of validation."""
    return {TRAINING_COLUMNS.get(name, f"val/{name}"): value for name, value in row.items()}


def evaluation_metrics(split: str, metrics: Mapping[str, float]) -> dict[str, float]:
    """``AP`` -> ``test/AP``, ``AP50/dog`` -> ``test/AP50/dog``; undefined ones are left out."""
    return finite({f"{split}/{name}": value for name, value in metrics.items()})


def finite(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """The metrics that are numbers, under names that MLflow accepts, no two the same."""
    seen: Counter[str] = Counter()
    result = {}
    for name, value in metrics.items():
        if value is None or not math.isfinite(value):
            continue
        safe = _safe(name)
        seen[safe] += 1
        result[safe if seen[safe] == 1 else f"{safe}_{seen[safe]}"] = float(value)
    return result


def _safe(name: str) -> str:
    parts = [re.sub(r"[^\w.\- :]", "_", part).strip() for part in name.split("/")]
    return "/".join(part if part.strip(".") else f"_{part}" for part in parts if part)[:250]


def flatten(parameters: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as one level: ``{"train": {"lr": 0.1}}`` -> ``{"train.lr": "0.1"}``."""
    flat: dict[str, str] = {}
    for name, value in parameters.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{name}.")
            continue
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        if len(text) > PARAMETER_LENGTH:
            text = text[: PARAMETER_LENGTH - 1] + "…"
        flat[f"{prefix}{name}"] = text
    return flat


def without(parameters: Mapping[str, Any], sections: Iterable[str]) -> dict[str, Any]:
    """The settings without some sections."""
    return {name: value for name, value in parameters.items() if name not in sections}


def run_name(stage: str, key: str, identity: RunIdentity) -> str:
    """``train-demo-1a2b3c4d``: stage, DVC experiment (if any) and the start of the key."""
    return "-".join(filter(None, (stage, identity.dvc_experiment, key[:8])))


def run_tags(stage: str, key: str, identity: RunIdentity) -> dict[str, str]:
    """What a run can be found by: stage, key, experiment, commit, digests of the data."""
    tags: dict[str, str | None] = {
        **process.mark(),
        "stage": stage,
        "dvc.key": key,
        "dvc.exp": identity.dvc_experiment,
        "dvc.lock": identity.dvc_lock,
        "reproduces": identity.reproduces,
        "git.commit": identity.git_commit,
        "git.branch": identity.git_branch,
        "git.dirty": str(identity.git_dirty).lower(),
        "mlflow.user": os.environ.get("USER"),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": identity.command,
        "mlflow.source.git.commit": identity.git_commit,
    }
    tags |= {f"data.{split}": digest for split, digest in identity.data_digest.items()}
    hardware = identity.hardware
    tags |= {f"hardware.{name}": hardware.get(name) for name in ("gpu", "processor", "cores")}
    return {name: value[:5000] for name, value in tags.items() if value}


def data_inputs(
    parameters: Mapping[str, Any], identity: RunIdentity, contexts: Mapping[str, str]
) -> list[Data]:
    """The data by split (``digits/test``), each with its use, as far as digests are known."""
    source = str(parameters.get("data", {}).get("config", "data"))
    return [
        Data(
            name=f"{Path(source).stem}/{split}",
            digest=identity.data_digest[split][:DIGEST_LENGTH],
            source=source,
            counts=identity.data.get("splits", {}).get(split, {}),
            context=context,
        )
        for split, context in contexts.items()
        if split in identity.data_digest
    ]


def placed(files: Iterable[Path], folder: str = "") -> dict[Path, str | None]:
    """Each file and its artifact folder: in ``folder``, as the files lie below a common one."""
    present = [path for path in files if path.is_file()]
    top = Path(os.path.commonpath([path.parent for path in present])) if present else Path()
    places = {path: Path(folder) / path.parent.relative_to(top) for path in present}
    return {path: None if place == Path() else place.as_posix() for path, place in places.items()}
