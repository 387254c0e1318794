"""A checkpoint's exported files: written, proven, and only then put in their place.

Letters of the shapes: B images, S side of the canvas in pixels.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from yolov2.config.export import CALIBRATED, ExportConfig
from yolov2.config.section import require
from yolov2.data.images.reading import letterbox_image, network_input, read_image
from yolov2.evaluation.evaluate import require_classes
from yolov2.export.accuracy import require_kept, score_model, score_suppressing
from yolov2.export.evidence import Evidence, with_thresholds
from yolov2.export.formats import FORMATS, Format
from yolov2.export.proof import Deviation, median_latency_ms, prove, prove_suppression
from yolov2.export.source import Source
from yolov2.export.suppression import open_suppressing
from yolov2.files import file_sha256
from yolov2.network.checkpoint import load_detector
from yolov2.runtime.graphs import Images, Run
from yolov2.runtime.manifest import Manifest
from yolov2.runtime.model_file import OpenedModel, manifest_of, open_model


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where an export goes: its files into ``folder``; ``reports`` are what its caller writes."""

    folder: Path
    reports: Sequence[Path]


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
    difference: Deviation
    latency_ms: float
    scores: Mapping[str, float] | None
    pytorch: Reference


def export_checkpoint(
    checkpoint: Path, places: Places, evidence: Evidence, config: ExportConfig
) -> Iterator[Exported]:
    """Write the files of ``config.formats``: all of them proven, or none.

    Each is yielded when it stands its proof and gets its name after the last of them. Before the
    first one, the files and reports of an earlier export to these places are removed, so that
    none of them passes for one of this checkpoint, whatever happens.

    Raises:
        ExportError: a file does not compute what the checkpoint does, or lost too much of its
            AP; nothing is left of this export.
        ValueError: no checkpoint, an image that cannot be read, or a format that cannot be
            proven with this evidence.
    """
    for name in CALIBRATED:
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
        manifest=with_thresholds(manifest_of(detector), evidence, config),
        calibration=lambda: (
            read_batch([path], detector.image_size)
            for path in evidence.calibration[: config.calibration_images]
        ),
    )
    kinds = [FORMATS[name] for name in config.formats]
    _clear(places, kinds)
    places.folder.mkdir(parents=True, exist_ok=True)
    paths = {places.folder / f"unproven.{kind.file}": kind for kind in kinds}
    try:
        for unproven, kind in paths.items():
            kind.write(source, kind.manifest(source.manifest), unproven)
            path = places.folder / kind.file
            yield _prove(kind, unproven, path, opened, reference, batch, evidence, config)
        for unproven, kind in paths.items():
            unproven.replace(places.folder / kind.file)
    finally:
        for unproven in paths:
            unproven.unlink(missing_ok=True)


def _clear(places: Places, kinds: Sequence[Format]) -> None:
    """Remove what an earlier export left, as its report lists it, and what is in the way."""
    earlier = [name for report in places.reports for name in _listed(report)]
    for name in {*earlier, *(kind.file for kind in kinds)}:
        (places.folder / name).unlink(missing_ok=True)
    for report in places.reports:
        report.unlink(missing_ok=True)


def _listed(report: Path) -> list[str]:
    """The files that ``export.json`` says are proven; none if ``report`` is none or damaged."""
    known = {kind.file for kind in FORMATS.values()}
    try:
        items = json.loads(report.read_text(encoding="utf-8"))["artefacts"].values()
        return [item["file"] for item in items if item["file"] in known]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


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
            scores = score_suppressing(str(path), graph, annotated, evaluation)
        else:
            scores = score_model(model, annotated, evaluation)
        require_kept(str(path), scores, reference.scores, annotated.split, config.max_ap_loss)
    return Exported(
        kind=kind,
        path=path,
        manifest=model.manifest,
        bytes=file.stat().st_size,
        sha256=file_sha256(file),
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
