"""Proof of an export: the written file is run again and held against the PyTorch network.

Letters of the shapes: B images, S side of the canvas in pixels, N boxes, C classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from yolov2.config import ExportConfig
from yolov2.detection.export import ExportError, torchscript_allowed
from yolov2.detection.manifest import INPUT, KEY, Manifest

Images = NDArray[np.float32]
"""(B, 3, S, S), RGB in [0, 1]."""
Predictions = NDArray[np.float32]
"""(B, N, 5+C), as ``yolov2.network.decode.decode`` describes."""
Run = Callable[[Images], Predictions]


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """An exported file, opened: what it computes and what it says about itself."""

    run: Run
    manifest: Manifest


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Largest absolute differences from PyTorch.

    ``box`` is in pixels of the canvas, over the corners of all boxes as detection clips them;
    ``score`` over objectness and all class probabilities.
    """

    box: float
    score: float


def open_onnx(path: Path) -> Artefact:
    """The ONNX graph in ONNX Runtime on the CPU, with as many threads as torch uses.

    Raises:
        ValueError: the file has no manifest of ours.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    properties = session.get_modelmeta().custom_metadata_map

    def run(images: Images) -> Predictions:
        return np.asarray(session.run(None, {INPUT: images})[0])

    return Artefact(run=run, manifest=Manifest.from_json(properties.get(KEY, "{}"), path))


def open_torchscript(path: Path) -> Artefact:
    """The TorchScript graph on the CPU.

    Raises:
        ValueError: the file has no manifest of ours.
    """
    files: dict[str, str | bytes] = {KEY: b""}
    with torchscript_allowed():
        module = torch.jit.load(path, map_location="cpu", _extra_files=files)
    text = files[KEY]
    manifest = Manifest.from_json(text if isinstance(text, str) else text.decode(), path)
    return Artefact(run=run_module(module), manifest=manifest)


def run_module(network: nn.Module) -> Run:
    """A torch module on the CPU as a function of NumPy arrays."""

    def run(images: Images) -> Predictions:
        with torch.inference_mode():
            return np.asarray(network(torch.from_numpy(images)).numpy())

    return run


def prove(name: str, run: Run, reference: Run, images: Images, config: ExportConfig) -> Difference:
    """Run ``run`` and ``reference`` on one image and on all ``images`` (B, 3, S, S) in a batch.

    A single image is doubled, so that two batch sizes are tried in any case.

    Raises:
        ExportError: results of another shape, or further apart than ``config`` allows; the
            text names the artefact ``name``.
    """
    several = images if len(images) > 1 else np.repeat(images, 2, axis=0)
    differences = [
        _difference(name, run(batch), reference(batch), images.shape[-1])
        for batch in (several[:1], several)
    ]
    worst = Difference(
        # np.max, because NaN (a graph that computes nonsense) must not be lost
        box=float(np.max([difference.box for difference in differences])),
        score=float(np.max([difference.score for difference in differences])),
    )
    _require_within(name, "box coordinates", worst.box, config.box_tolerance, " pixels")
    _require_within(name, "scores", worst.score, config.score_tolerance, "")
    return worst


def median_latency_ms(run: Run, image: Images, *, repeats: int = 20, seconds: float = 3.0) -> float:
    """Milliseconds that ``run`` takes for one ``image`` (1, 3, S, S): the median after a warm-up.

    Fewer than ``repeats`` measurements, but at least three, where they take over ``seconds``.
    """
    run(image)
    times: list[float] = []
    while len(times) < 3 or (len(times) < repeats and sum(times) < seconds):
        start = perf_counter()
        run(image)
        times.append(perf_counter() - start)
    return 1000 * median(times)


def _difference(name: str, found: Predictions, wanted: Predictions, side: int) -> Difference:
    if found.shape != wanted.shape:
        raise ExportError(
            f"{name}: gives predictions of shape {found.shape} where PyTorch gives"
            f" {wanted.shape}: it was exported from another model"
        )
    boxes = np.abs(_corners(found, side) - _corners(wanted, side))
    scores = np.abs(found[..., 4:] - wanted[..., 4:])
    return Difference(box=float(boxes.max()), score=float(scores.max()))


def _corners(predictions: Predictions, side: int) -> Predictions:
    """Predictions (B, N, 5+C) -> corners (B, N, 4) xyxy in pixels, clipped to the canvas."""
    centre, half = predictions[..., :2], predictions[..., 2:4] / 2
    return np.clip(np.concatenate((centre - half, centre + half), axis=-1), 0, side)


def _require_within(name: str, what: str, value: float, tolerance: float, unit: str) -> None:
    # not "value > tolerance": NaN has to fail
    if not value <= tolerance:
        raise ExportError(
            f"{name}: {what} differ from PyTorch by up to {value:.3g}{unit}, the tolerance is"
            f" {tolerance:g}{unit}: the exported graph does not compute what was trained"
        )
