"""A model file as something that computes: a checkpoint or an exported graph.

Letters of the shapes: B images, S side of the canvas in pixels, N boxes, C classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from yolov2.network.checkpoint import TrainedDetector, load_detector
from yolov2.network.decode import DecodedYOLOv2
from yolov2.network.device import has_bfloat16, resolve_device
from yolov2.network.inference import InferenceYOLOv2
from yolov2.runtime.address import resolve
from yolov2.runtime.graphs import GRAPHS
from yolov2.runtime.manifest import Manifest
from yolov2.runtime.thresholds import CONF_THRESHOLD

NMS_THRESHOLD = 0.5

CHECKPOINT = ".pt"
_first, *_others = GRAPHS
SUFFIXES = (_first, CHECKPOINT, *_others)
"""What can be opened; where an address offers several, the first of them."""


@dataclass(frozen=True, kw_only=True)
class OpenedModel:
    """A detector that was read from a file.

    ``predict`` maps images float32 (B, 3, S, S), RGB in [0, 1], on ``device`` to decoded
    predictions float32 (B, N, 5+C) there, as ``yolov2.network.decode.decode`` describes; S is
    ``manifest.image_size``, or any multiple of 32 if ``manifest.dynamic_size``. The manifest
    also has the thresholds to detect with: ``manifest.thresholds`` (C,), ``nms_threshold``.
    """

    path: Path
    predict: Callable[[Tensor], Tensor]
    manifest: Manifest
    device: torch.device


def open_model(weights: str | Path, device: str = "auto", *, half: bool = False) -> OpenedModel:
    """The model of a file, or of an address such as ``models:/yolov2@champion``.

    A file is a checkpoint (``.pt``) or an exported graph (a suffix of ``GRAPHS``).
    ``device`` ``auto`` is a CUDA card where file and installation allow it. ``half`` computes a
    checkpoint in float16 on a card and in bfloat16 on a processor that has it.

    Raises:
        ValueError: no such file, address or device, the file is no detector of ours, or it
            cannot be computed as asked for.
    """
    path = resolve(weights, prefer=(CHECKPOINT, *SUFFIXES) if half else SUFFIXES)
    if not path.is_file():
        raise ValueError(f"no model at {path}: give {', '.join(SUFFIXES)} or models:/name@alias")
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path} is no model file: its name must end in {', '.join(SUFFIXES)}")
    if path.suffix == CHECKPOINT:
        return _open_checkpoint(path, resolve_device(device), half=half)
    if half:
        raise ValueError(
            f"{path} computes in the type that it was exported with: leave out --half, or give"
            " the checkpoint (.pt)"
        )
    artefact = GRAPHS[path.suffix](path, device)
    run, where = artefact.run, artefact.device
    return OpenedModel(
        path=path,
        predict=lambda images: torch.from_numpy(run(images.cpu().numpy())).to(where),
        manifest=artefact.manifest,
        device=where,
    )


def _open_checkpoint(path: Path, device: torch.device, *, half: bool) -> OpenedModel:
    loaded = load_detector(path, device)
    network = DecodedYOLOv2(
        InferenceYOLOv2(loaded.network, _half_type(device)) if half else loaded.network
    )
    return OpenedModel(
        path=path,
        predict=network.eval().to(memory_format=torch.channels_last),
        manifest=manifest_of(loaded),
        device=device,
    )


def _half_type(device: torch.device) -> torch.dtype:
    if device.type != "cpu":
        return torch.float16
    if not has_bfloat16(device):
        raise ValueError(
            "--half needs a processor with bfloat16 (AVX512-BF16 or AMX), which this one is not:"
            " it would be slower than without; leave it out, or use an exported model.int8.onnx"
        )
    return torch.bfloat16


def manifest_of(detector: TrainedDetector) -> Manifest:
    """What an exported file of this checkpoint says about itself."""
    return Manifest(
        class_names=detector.class_names,
        anchors=detector.anchors,
        image_size=detector.image_size,
        conf_threshold=CONF_THRESHOLD,
        nms_threshold=NMS_THRESHOLD,
    )
