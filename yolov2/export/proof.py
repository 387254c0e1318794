"""Proof of an export: the written file is run again and held against the PyTorch network.

Letters of the shapes: B images, S side of the canvas in pixels, N boxes, C classes, D detections.
"""

from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np
import torch

from yolov2.boxes import FloatArray, Letterbox
from yolov2.config.export import ExportConfig
from yolov2.detection.postprocess import postprocess
from yolov2.export.onnx_graph import ExportError
from yolov2.export.suppression import SuppressingGraph
from yolov2.runtime.graphs import Images, Predictions, Run

CERTAIN = 0.25
SUPPRESSION_SCORE, SUPPRESSION_IOU, SUPPRESSION_MOST = 0.05, 0.45, 300
ROUNDED_OVERLAPS = 0.01
"""Share of detections that may differ: ONNX suppresses in float32, we in float64."""


@dataclass(frozen=True, kw_only=True)
class Precision:
    """A number format, and what its rounding may cost.

    ``rounding`` is in pixels of a box of ``CERTAIN`` score or more, and of a score; ``None``:
    nothing but what the settings allow. Without bounds the average precision alone decides.
    """

    name: str
    rounding: tuple[float, float] | None = (np.inf, np.inf)


FP32 = Precision(name="fp32", rounding=None)


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """Largest absolute differences from PyTorch.

    ``box`` is in pixels of the canvas, over the corners of all boxes as detection clips them;
    ``score`` over objectness and all class probabilities. In a rounded precision that holds for
    boxes with a score of 0.25 or more, and for the best of each image; of the others only
    objectness and its products with the class probabilities are compared.
    """

    box: float
    score: float


def prove(
    name: str,
    run: Run,
    reference: Run,
    images: Images,
    config: ExportConfig,
    precision: Precision = FP32,
) -> Deviation:
    """Run ``run`` and ``reference`` on one image and on all ``images`` (B, 3, S, S) in a batch.

    A single image is doubled, so that two batch sizes are tried in any case.

    Raises:
        ExportError: results of another shape, NaN or infinite, or further apart than ``config``
            allows (float32) or rounding explains; the text names the artefact ``name``.
    """
    several = images if len(images) > 1 else np.repeat(images, 2, axis=0)
    differences = [
        _difference(name, run(batch), reference(batch), images.shape[-1], precision)
        for batch in (several[:1], several)
    ]
    worst = Deviation(
        box=max(difference.box for difference in differences),
        score=max(difference.score for difference in differences),
    )
    box, score = precision.rounding or (config.box_tolerance, config.score_tolerance)
    _require_within(name, "box coordinates", worst.box, box, " pixels")
    _require_within(name, "scores", worst.score, score, "")
    return worst


def prove_suppression(name: str, graph: SuppressingGraph, images: Images) -> None:
    """Hold the detections of ``graph`` on ``images`` (B, 3, S, S) against our postprocessing.

    Both start from the predictions of ``graph``, so that only the suppression is compared; by
    detections of any score, if none is above ``SUPPRESSION_SCORE``.

    Raises:
        ExportError: other detections, or none at all; the text names the artefact ``name``.
    """
    compared, differing = _compare_suppression(graph, images, SUPPRESSION_SCORE)
    if not compared:
        compared, differing = _compare_suppression(graph, images, 0)
    if not compared:
        raise ExportError(
            f"{name}: there is no detection in the {len(images)} images of the proof, whatever its"
            " score: nothing shows that its suppression is right; leave the format out of"
            " export.formats"
        )
    if differing > ROUNDED_OVERLAPS * compared:
        raise ExportError(
            f"{name}: {differing} detections of {compared} are not those of the PyTorch suppression"
        )


def _compare_suppression(
    graph: SuppressingGraph, images: Images, threshold: float
) -> tuple[int, int]:
    """The number of detections above ``threshold`` in images (B, 3, S, S); how many differ."""
    height, width = images.shape[-2:]
    assert height == width, "images on a square canvas"
    whole = [Letterbox(width=width, height=height, side=width)] * len(images)
    found, predictions = graph(
        images,
        conf_threshold=[threshold],
        nms_threshold=SUPPRESSION_IOU,
        max_detections=SUPPRESSION_MOST,
        multi_label=True,
    )
    wanted = postprocess(
        torch.from_numpy(predictions),
        whole,
        conf_threshold=threshold,
        nms_threshold=SUPPRESSION_IOU,
        max_detections=SUPPRESSION_MOST,
    )
    differing = total = 0
    for image, detections in enumerate(wanted):
        rows = np.column_stack(
            (detections.boxes_xyxy, detections.scores, detections.class_ids.astype(np.float32))
        )  # (D, 6)
        differing += _unmatched(found[found[:, 0] == image, 1:], rows)
        total += max(len(rows), int(np.sum(found[:, 0] == image)))
    return total, differing


def _unmatched(found: FloatArray, wanted: FloatArray) -> int:
    """How many rows of (D, 6) and (D', 6) have no equal in the other, within 0.01 pixels."""
    if len(found) == 0 or len(wanted) == 0:
        return len(found) + len(wanted)
    limit = np.array([0.01, 0.01, 0.01, 0.01, 1e-5, 0], dtype=np.float32)
    distance = np.abs(found[:, None] - wanted[None])  # (D, D', 6)
    equal = np.all(distance <= limit, axis=2)  # (D, D')
    return int(np.sum(~np.any(equal, axis=1)) + np.sum(~np.any(equal, axis=0)))


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


def _difference(
    name: str, found: Predictions, wanted: Predictions, side: int, precision: Precision
) -> Deviation:
    if found.shape != wanted.shape:
        raise ExportError(
            f"{name}: gives predictions of shape {found.shape} where PyTorch gives"
            f" {wanted.shape}: it was exported from another model"
        )
    if not np.isfinite(wanted).all():
        raise ExportError(
            f"{name}: PyTorch's own predictions hold NaN or infinite values: the weights of the"
            " checkpoint are broken, most likely by a diverged training"
        )
    require_finite(name, found, precision.name)
    boxes = np.abs(_corners(found, side) - _corners(wanted, side))  # (B, N, 4)
    scores = np.abs(found[..., 4:] - wanted[..., 4:])  # (B, N, 1+C)
    if precision.rounding is None:
        return Deviation(box=float(boxes.max()), score=float(scores.max()))
    best = _class_scores(wanted).max(axis=-1)  # (B, N)
    certain = (best >= CERTAIN) | (best == best.max(axis=1, keepdims=True))  # one an image or more
    parts = (
        scores[certain],
        scores[..., :1],
        np.abs(_class_scores(found) - _class_scores(wanted)),
    )
    return Deviation(
        box=float(boxes[certain].max()), score=max(float(part.max()) for part in parts)
    )


def require_finite(name: str, found: Predictions, precision: str) -> None:
    """Raise ``ExportError`` if the predictions (B, N, 5+C) of ``name`` are not all numbers."""
    strange = int(np.sum(~np.isfinite(found)))
    if strange:
        reason = (
            "the exported graph does not compute what was trained"
            if precision == FP32.name
            else f"the activations of this network do not fit into {precision}, leave the format"
            " out of export.formats"
        )
        raise ExportError(
            f"{name}: {strange} of {found.size} numbers that it predicts are NaN or infinite where"
            f" PyTorch's are not: {reason}"
        )


def _class_scores(predictions: Predictions) -> Predictions:
    """Objectness times class probability (B, N, C) of predictions (B, N, 5+C)."""
    return np.asarray(predictions[..., 4:5] * predictions[..., 5:])


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
