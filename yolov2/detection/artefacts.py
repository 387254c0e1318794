"""A checkpoint's exported files: written, proven, and only then put in their place.

Letters of the shapes: B images, S side of the canvas in pixels.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from yolov2.config import DetectConfig, ExportConfig
from yolov2.data.images import letterbox_image, network_input, read_image
from yolov2.detection.export import OPSET, export_onnx, export_torchscript
from yolov2.detection.manifest import Manifest
from yolov2.detection.proof import (
    Artefact,
    Difference,
    Images,
    median_latency_ms,
    open_onnx,
    open_torchscript,
    prove,
    run_module,
)
from yolov2.network.checkpoint import TrainedDetector, load_detector
from yolov2.network.decode import DecodedYOLOv2

ONNX = "model.onnx"
TORCHSCRIPT = "model.torchscript"


@dataclass(frozen=True, kw_only=True)
class Format:
    """How files of one kind are written and run again."""

    name: str
    file: str
    write: Callable[[DecodedYOLOv2, Manifest, Path], None]
    open: Callable[[Path], Artefact]
    opset: int | None


FORMATS = (
    Format(name="onnx", file=ONNX, write=export_onnx, open=open_onnx, opset=OPSET),
    Format(
        name="torchscript",
        file=TORCHSCRIPT,
        write=export_torchscript,
        open=open_torchscript,
        opset=None,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A proven file: its size, hash, distance from PyTorch, and the time for one image.

    ``pytorch_latency_ms`` is the checkpoint's own, measured with as many ``threads``.
    """

    name: str
    path: Path
    bytes: int
    sha256: str
    opset: int | None
    difference: Difference
    latency_ms: float
    pytorch_latency_ms: float
    threads: int


def export_checkpoint(
    checkpoint: Path, folder: Path, images: Sequence[Path], config: ExportConfig
) -> Iterator[Exported]:
    """Write every format of ``FORMATS`` to ``folder``, each proven on ``images`` first.

    Raises:
        ExportError: a graph does not compute what the checkpoint does; its file is removed.
        ValueError: no checkpoint, or an image that cannot be read.
    """
    detector = load_detector(checkpoint)
    network = DecodedYOLOv2(detector.network).eval()
    reference = run_module(network)
    batch = read_batch(images, detector.image_size)
    pytorch_latency_ms = median_latency_ms(reference, batch[:1])
    folder.mkdir(parents=True, exist_ok=True)
    for kind in FORMATS:
        path = folder / kind.file
        unproven = folder / f"unproven.{kind.file}"
        try:
            kind.write(network, _manifest(detector), unproven)
            run = kind.open(unproven).run
            difference = prove(str(path), run, reference, batch, config)
            unproven.replace(path)
        finally:
            unproven.unlink(missing_ok=True)
        yield Exported(
            name=kind.name,
            path=path,
            bytes=path.stat().st_size,
            sha256=_sha256(path),
            opset=kind.opset,
            difference=difference,
            latency_ms=median_latency_ms(run, batch[:1]),
            pytorch_latency_ms=pytorch_latency_ms,
            threads=torch.get_num_threads(),
        )


def read_batch(images: Sequence[Path], image_size: int) -> Images:
    """Image files, letterboxed: (B, 3, S, S), RGB in [0, 1]."""
    return network_input([letterbox_image(read_image(path), image_size)[0] for path in images])


def describe(exported: Exported) -> str:
    """One line for people: the file, that it is proven, its speed."""
    difference = exported.difference
    return (
        f"{exported.path}  {exported.bytes / 1e6:.1f} MB  proven: boxes within"
        f" {difference.box:.2g} px, scores within {difference.score:.2g} of PyTorch"
        f"  {exported.latency_ms:.1f} ms an image (PyTorch {exported.pytorch_latency_ms:.1f} ms,"
        f" {exported.threads} threads)"
    )


def export_report(
    exported: Sequence[Exported], images: int, config: ExportConfig
) -> dict[str, Any]:
    """The content of ``reports/export.json``; what the clock decides is under ``latency_ms``."""
    return {
        "artefacts": {
            item.name: {
                "file": item.path.name,
                "bytes": item.bytes,
                "sha256": item.sha256,
                "opset": item.opset,
                "max_difference": asdict(item.difference),
            }
            for item in exported
        },
        "images": images,
        "tolerance": {"box": config.box_tolerance, "score": config.score_tolerance},
        "units": {"box": "pixels of the canvas", "score": "probability"},
        "latency_ms": {
            "batch": 1,
            "device": "cpu",
            "threads": exported[0].threads,
            "pytorch": round(exported[0].pytorch_latency_ms, 2),
            **{item.name: round(item.latency_ms, 2) for item in exported},
        },
    }


def _manifest(detector: TrainedDetector) -> Manifest:
    thresholds = DetectConfig()
    return Manifest(
        class_names=detector.class_names,
        anchors=detector.anchors,
        image_size=detector.image_size,
        conf_threshold=thresholds.conf_threshold,
        nms_threshold=thresholds.nms_threshold,
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
