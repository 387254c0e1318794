"""By what a run is known: what it ran on, and the hashes of its weights and data."""

import hashlib
import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from yolov2.files import write_json
from yolov2.network.checkpoint import load_detector
from yolov2.network.yolov2 import YOLOv2
from yolov2.runs.folder import BEST, HASHES

PACKAGES = (
    "yolov2-pipeline",
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
