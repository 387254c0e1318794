"""The folder that a training leaves: checkpoints, history, parameters, environment, hashes.

``pipeline track import FOLDER`` makes an MLflow run of it, so that a training on a
machine without MLflow is tracked like any other.
"""

import fcntl
import hashlib
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from yolov2.files import write_json, write_text
from yolov2.network.checkpoint import load_detector
from yolov2.network.yolov2 import YOLOv2

BEST = "best.pt"
LAST = "last.pt"
HISTORY = "history.csv"
STEPS = "steps.csv"
SPEED = "speed.csv"
PARAMETERS = "parameters.json"
ENVIRONMENT = "environment.json"
HASHES = "hashes.json"
METRICS = "metrics.json"
EVALUATION = "evaluation.json"

PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "pandas",
    "pyarrow",
    "pillow",
    "pycocotools",
    "hotcoco",
)
"""Whose versions are kept with a run."""


def write_history(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """One line an epoch as CSV, atomically; what an epoch did not measure stays empty."""
    write_text(path, pd.DataFrame(list(rows)).to_csv(index=False))


def environment(device: torch.device, number_format: str) -> dict[str, Any]:
    """What a run ran on: versions, machine, device, command; ``amp: auto`` as what it became."""
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = "absent"
    on_cuda = device.type == "cuda"
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if on_cuda else platform.processor() or "cpu",
        "device_type": device.type,
        "cuda": torch.version.cuda if on_cuda else None,
        "number_format": number_format,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def weights_hash(network: YOLOv2) -> str:
    """sha256 over names and bytes of every weight: equal weights, equal hash, on any device."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def write_hashes(folder: Path, fingerprint: str, data: Mapping[str, str]) -> None:
    """Say that the training in ``folder`` is complete, and by what it is known again."""
    best = load_detector(folder / BEST)
    hashes = {"fingerprint": fingerprint, "weights": weights_hash(best.network), "data": data}
    write_json(folder / HASHES, hashes)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold ``folder`` alone: two trainings must not write the same checkpoints.

    The lock dies with its process, however it ends.

    Raises:
        ValueError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+") as file:
        try:
            # not flock, which forked loader workers would inherit and hold for seconds after
            # their trainer was killed
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise ValueError(
                f"another training (process {holder}) is writing to {folder}: wait for it or end"
                f" it with `kill {holder}`"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
