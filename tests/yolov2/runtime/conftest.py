"""Model files that the tests of opening them share."""

from pathlib import Path

import pytest
import torch

from yolov2.export.formats import FORMATS
from yolov2.export.source import Source
from yolov2.network.checkpoint import load_detector, save_checkpoint
from yolov2.network.yolov2 import YOLOv2
from yolov2.runtime.model_file import manifest_of


@pytest.fixture(scope="session")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of each kind, of a network with random weights."""
    torch.manual_seed(0)
    network = YOLOv2(2, ((1.0, 2.0), (3.0, 1.5)), width=0.05)
    folder = tmp_path_factory.mktemp("graphs")
    save_checkpoint(folder / "best.pt", network, class_names=("cat", "dog"), image_size=64)
    manifest = manifest_of(load_detector(folder / "best.pt"))
    source = Source(network=network.eval(), manifest=manifest, calibration=lambda: iter(()))
    for name in ("onnx", "torchscript", "pt2"):
        FORMATS[name].write(source, manifest, folder / FORMATS[name].file)
    return folder
