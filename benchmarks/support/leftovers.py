"""What two trainings left, compared: weights, optimiser, tables, every point in MLflow."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.support.killing import SPEED
from tests.pipeline.small_training import checkpoint_folder, stored_figures, stored_runs
from yolov2.network.checkpoint import read_checkpoint


def differences(whole: Path, killed: Path) -> list[str]:
    """What a killed training left otherwise than an uninterrupted one; nothing is right."""
    one, other = checkpoint_folder(whole), checkpoint_folder(killed)
    found = []
    first, second = (json.loads((each / "hashes.json").read_text()) for each in (one, other))
    if first != second:
        found.append(f"hashes.json: {second} instead of {first}")
    for name in ("history.csv", "steps.csv"):
        if (one / name).read_bytes() != (other / name).read_bytes():
            found.append(f"{name} differs")
    last, killed_last = (_weights_and_state(each / "last.pt") for each in (one, other))
    found += [
        f"last.pt: {name} differs"
        for name in sorted(last.keys() | killed_last.keys())
        if not _equal(last.get(name), killed_last.get(name))
    ]
    return found + _tracked_differences(whole / "mlflow.db", killed / "mlflow.db")


def _weights_and_state(checkpoint: Path) -> dict[str, Any]:
    """What goes on learning: weights, their average, momenta, position; not how long it took."""
    content = read_checkpoint(checkpoint)
    training = content["training"]
    kept = ("at", "optimizer", "scaler", "weights", "averaged")
    return {"model": content["model"]} | {name: training[name] for name in kept}


def _equal(one: Any, other: Any) -> bool:
    """Whether nested values are the same, tensors to the last bit."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


def _tracked_differences(whole: Path, killed: Path) -> list[str]:
    runs = stored_runs(killed)
    finished = [run_id for run_id, status in runs.items() if status == "FINISHED"]
    if len(finished) != 1 or "RUNNING" in runs.values():
        return [f"MLflow: the runs are {', '.join(runs.values())}"]
    found = [
        f"MLflow: run {run_id} that is {status} has figures"
        for run_id, status in runs.items()
        if status != "FINISHED" and stored_figures(killed, run_id)
    ]
    (only,) = stored_runs(whole)
    expected, got = stored_figures(whole, only), stored_figures(killed, finished[0])
    twice = [point for point, count in Counter(each[:2] for each in got).items() if count > 1]
    if twice:
        found.append(f"MLflow: more than once: {twice[:5]}")
    if [each[:2] for each in got] != [each[:2] for each in expected]:
        missing = sorted({each[:2] for each in expected} - {each[:2] for each in got})
        found.append(f"MLflow: other steps; missing {missing[:5]}")
    elif _without_speed(got) != _without_speed(expected):
        found.append("MLflow: other values")
    return found


def _without_speed(figures: Sequence[tuple[str, int, float]]) -> list[tuple[str, int, float]]:
    return [each for each in figures if each[0].removeprefix("train/") not in SPEED]
