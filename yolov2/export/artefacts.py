"""A checkpoint's exported files: written, proven, and only then put in their place.

Letters of the shapes: B images, S side of the canvas in pixels.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from yolov2.data.images import letterbox_image, network_input, read_image
from yolov2.evaluation.evaluate import require_classes
from yolov2.export.accuracy import require_kept, score_model, score_suppressing
from yolov2.export.evidence import Evidence, with_thresholds
from yolov2.export.formats import FORMATS, NEEDS_DATA, Format
from yolov2.export.proof import Difference, median_latency_ms, prove, prove_suppression
from yolov2.export.source import Source
from yolov2.export.suppression import open_suppressing
from yolov2.export_config import ExportConfig
from yolov2.network.checkpoint import load_detector
from yolov2.runtime.graphs import Images, Run
from yolov2.runtime.manifest import Manifest
from yolov2.runtime.model_file import OpenedModel, describe, open_model
from yolov2.section import require


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The checkpoint itself: milliseconds for one image with so many ``threads``; AP and AP50."""

    latency_ms: float
    threads: int
    scores: Mapping[str, float] | None


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A proven file: its kind, size, hash, distance from PyTorch, latency, AP and AP50."""

    kind: Format
    path: Path
    manifest: Manifest
    bytes: int
    sha256: str
    difference: Difference
    latency_ms: float
    scores: Mapping[str, float] | None
    pytorch: Reference


def export_checkpoint(
    checkpoint: Path, folder: Path, evidence: Evidence, config: ExportConfig
) -> Iterator[Exported]:
    """Write the files of ``config.formats`` to ``folder``, each proven first.

    Raises:
        ExportError: a file does not compute what the checkpoint does, or lost too much of its
            AP; it is removed, and what had its name as well.
        ValueError: no checkpoint, an image that cannot be read, or a format that cannot be
            proven with this evidence.
    """
    for name in NEEDS_DATA:
        require(
            name not in config.formats or bool(evidence.annotated and evidence.calibration),
            f"{name} is calibrated on training images and proven by its average precision, which"
            " needs a data set: give --data, or choose other --formats",
        )
    detector = load_detector(checkpoint)
    opened = open_model(checkpoint, "cpu")
    batch = read_batch(evidence.images, detector.image_size)
    reference = _reference(opened, batch, evidence)
    source = Source(
        network=detector.network,
        manifest=with_thresholds(describe(detector), evidence, config),
        calibration=lambda: (
            read_batch([path], detector.image_size)
            for path in evidence.calibration[: config.calibration_images]
        ),
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name in config.formats:
        kind = FORMATS[name]
        path, unproven = folder / kind.file, folder / f"unproven.{kind.file}"
        manifest = kind.describe(source.manifest)
        path.unlink(missing_ok=True)  # whatever happens now, an older file shall not pass for it
        try:
            kind.write(source, manifest, unproven)
            exported = _prove(kind, unproven, path, opened, reference, batch, evidence, config)
            unproven.replace(path)
        finally:
            unproven.unlink(missing_ok=True)
        yield exported


def _reference(opened: OpenedModel, batch: Images, evidence: Evidence) -> Reference:
    annotated, scores = evidence.annotated, None
    if annotated is not None:
        require_classes(opened, annotated.class_names)
        scores = score_model(opened, annotated, evidence.evaluation)
    return Reference(
        latency_ms=median_latency_ms(_run_of(opened), batch[:1]),
        threads=torch.get_num_threads(),
        scores=scores,
    )


def _prove(
    kind: Format,
    file: Path,
    path: Path,
    pytorch: OpenedModel,
    reference: Reference,
    batch: Images,
    evidence: Evidence,
    config: ExportConfig,
) -> Exported:
    """What is known about ``file``, which is to be called ``path``, if it stands the proof."""
    model = open_model(file, "cpu")
    run = _run_of(model)
    difference = prove(str(path), run, _run_of(pytorch), batch, config, kind.precision)
    annotated, evaluation, scores = evidence.annotated, evidence.evaluation, None
    if kind.variant == "nms":
        graph = open_suppressing(file)
        prove_suppression(str(path), graph, batch)
        run = graph.detect
    if annotated is not None and reference.scores is not None:
        if kind.variant == "nms":
            scores = score_suppressing(graph, annotated, evaluation)
        else:
            scores = score_model(model, annotated, evaluation)
        require_kept(str(path), scores, reference.scores, annotated.split, config.max_ap_loss)
    return Exported(
        kind=kind,
        path=path,
        manifest=model.manifest,
        bytes=file.stat().st_size,
        sha256=_sha256(file),
        difference=difference,
        latency_ms=median_latency_ms(run, batch[:1]),
        scores=scores,
        pytorch=reference,
    )


def read_batch(images: Sequence[Path], image_size: int) -> Images:
    """Image files, letterboxed: (B, 3, S, S), RGB in [0, 1]."""
    return network_input([letterbox_image(read_image(path), image_size)[0] for path in images])


def _run_of(model: OpenedModel) -> Run:
    """The model as a function of NumPy arrays."""

    def run(images: Images) -> Images:
        with torch.inference_mode():
            return model.predict(torch.from_numpy(images)).numpy()

    return run


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
