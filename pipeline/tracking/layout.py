"""How a run reads in MLflow: names of parameters, metrics and files. No MLflow here.

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

from pipeline.workspace.identity import RunIdentity

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

NOT_BY_STEP = ("epoch", "lr")
"""Columns of ``steps.csv`` that would make a second chart of what ``train/...`` shows."""

NOT_OF_TRAINING = ("evaluate", "export", "tracking", "promote", "flows", "schedule")
NOT_OF_EXPORT = ("tracking", "promote", "flows", "schedule")
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
        losses = {name: value for name, value in row.items() if name not in NOT_BY_STEP}
        metrics = {TRAINING_COLUMNS.get(name, name): value for name, value in losses.items()}
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
