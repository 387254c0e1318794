"""The registered model as MLflow loads it: exported graph in, detections out, no torch.

This file travels with the model ("models from code") together with the few modules of
``yolov2`` that it imports, so that a served model sees the same pixels as training does. A
request may hold images only as their bytes; no path or address in it is ever opened. Who calls
``predict`` in Python may also pass ``Path`` objects and arrays, which JSON, CSV and Parquet cannot.

Letters of the shapes: B images, N boxes of an image, C classes, S side of the canvas in pixels.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from numpy.typing import NDArray

from yolov2.boxes import Letterbox
from yolov2.config.evaluate import DetectConfig
from yolov2.data.images.given import given_image
from yolov2.data.images.reading import ImageError, letterbox_image, network_input
from yolov2.runtime.manifest import INPUT, KEY, OUTPUT, Manifest
from yolov2.runtime.session import Session

MIN_SIDE = 0.01
"""Pixels of the canvas that a box must cover of the image, as in detection with torch."""

Floats = NDArray[np.floating]
Indices = NDArray[np.intp]


class ServedDetector(PythonModel):
    """YOLOv2 behind MLflow's ``predict``.

    Input: a table with the column ``image``: an image file's bytes, or those in base64; in Python
    also its ``pathlib.Path``, or an array (H, W, 3) RGB uint8. Text is never a path.
    Parameters: ``conf_threshold``, ``nms_threshold``, ``max_detections``.
    Output: a row an image: ``image_width``, ``image_height`` in pixels and ``detections``, a
    JSON list of ``{"box": [left, top, right, bottom], "score", "class_id", "class_name"}`` in
    pixels of the image, by descending score.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Open the graph; its manifest says what it expects and what its classes are called."""
        path = context.artifacts["onnx"]
        self.session = Session(path)
        self.manifest = Manifest.from_json(self.session.metadata.get(KEY, ""), path)

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Detections of every row.

        Raises:
            MlflowException: a row is no readable image or a threshold out of range; the
                scoring server answers 400 with the sentence.
            ValueError: this process is a fork of the one that loaded the model.
        """
        config = _config(self.manifest, params or {})
        values = model_input["image"].tolist()
        rows: list[dict[str, Any]] = []
        for start in range(0, len(values), config.batch_size):
            some = enumerate(values[start : start + config.batch_size], start)
            canvases, letterboxes = [], []
            for row, value in some:
                canvas, letterbox = _canvas(value, row, self.manifest.image_size)
                canvases.append(canvas)
                letterboxes.append(letterbox)
            (predictions,) = self.session.run([OUTPUT], {INPUT: network_input(canvases)})
            rows += [
                _row(one, letterbox, config, self.manifest)
                for one, letterbox in zip(predictions, letterboxes, strict=True)
            ]
        return pd.DataFrame(rows, columns=["image_width", "image_height", "detections"])


def _config(manifest: Manifest, params: Mapping[str, Any]) -> DetectConfig:
    """The thresholds of the request; NMS, if it has none, of the graph."""
    given = {name: value for name, value in params.items() if value is not None}
    try:
        return DetectConfig(**{"nms_threshold": manifest.nms_threshold} | given)
    except (TypeError, ValueError) as error:
        raise MlflowException.invalid_parameter_value(f"parameters: {error}") from None


def _canvas(value: object, row: int, side: int) -> tuple[NDArray[np.uint8], Letterbox]:
    """The canvas (S, S, 3) of one value of the column ``image``."""
    try:
        return letterbox_image(given_image(value), side)
    except ImageError as error:
        raise MlflowException.invalid_parameter_value(f"row {row}: {error}") from None


def _row(
    predictions: Floats, letterbox: Letterbox, config: DetectConfig, manifest: Manifest
) -> dict[str, Any]:
    """The answer for one image from its decoded predictions (N, 5+C)."""
    boxes, scores, class_ids = detect(predictions, letterbox, config, manifest.thresholds)
    found = [
        {
            "box": [round(float(edge), 2) for edge in box],
            "score": round(float(score), 6),
            "class_id": int(class_id),
            "class_name": manifest.class_names[class_id],
        }
        for box, score, class_id in zip(boxes, scores, class_ids, strict=True)
    ]
    text = json.dumps(found, ensure_ascii=False)
    return {
        "image_width": letterbox.width,
        "image_height": letterbox.height,
        "detections": text,
    }


def detect(
    predictions: Floats,
    letterbox: Letterbox,
    config: DetectConfig,
    class_thresholds: Sequence[float],
) -> tuple[Floats, Floats, Indices]:
    """Boxes (K, 4) xyxy in image pixels, scores (K,), classes (K,), by descending score.

    What ``yolov2.detection.postprocess`` gives with ``multi_label=False``, in NumPy.
    ``class_thresholds`` (C,) are for a ``config`` without a confidence threshold.

    Raises:
        MlflowException: the predictions (N, 5+C) hold NaN or infinite values.
    """
    if not np.isfinite(predictions).all():
        raise MlflowException("the model's predictions hold NaN or infinite values")
    centre, half = predictions[:, :2], predictions[:, 2:4] / 2
    boxes = np.concatenate((centre - half, centre + half), axis=1)  # (N, 4)
    by_class = predictions[:, 4:5] * predictions[:, 5:]  # (N, C)
    class_ids = by_class.argmax(axis=1)
    scores = by_class.max(axis=1) * _touches_image(boxes, letterbox)
    given = config.conf_threshold
    limits = class_thresholds if given is None else [given] * by_class.shape[1]
    thresholds = np.asarray(limits, dtype=np.float32)  # (C,)
    chosen = np.flatnonzero(scores > thresholds[class_ids])
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")]
    assert config.nms_threshold is not None, "_config fills it in"
    kept = chosen[suppress(boxes[chosen], class_ids[chosen], config.nms_threshold)]
    kept = kept[: config.max_detections]
    placed = letterbox.canvas_to_image(boxes[kept].astype(np.float64))
    return placed, scores[kept], class_ids[kept]


def _touches_image(boxes_xyxy: Floats, letterbox: Letterbox) -> NDArray[np.bool_]:
    """Whether (N,) a canvas box (N, 4) keeps an area when clipped to the image."""
    low = np.array([letterbox.left, letterbox.top])
    high = low + np.array([letterbox.new_width, letterbox.new_height])
    size = np.minimum(boxes_xyxy[:, 2:], high) - np.maximum(boxes_xyxy[:, :2], low)
    return np.asarray((size >= MIN_SIDE).all(axis=1))


def suppress(boxes_xyxy: Floats, class_ids: Indices, threshold: float) -> Indices:
    """Indices of the boxes (N, 4), best first, that non-maximum suppression leaves.

    A box goes if a better one of its class, itself kept, overlaps it by more than ``threshold``.
    """
    boxes = boxes_xyxy.astype(np.float64)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)  # (N,)
    alive = np.ones(len(boxes), dtype=bool)
    for i in range(len(boxes)):
        if not alive[i]:
            continue
        rest = np.flatnonzero(alive & (class_ids == class_ids[i]))
        rest = rest[rest > i]
        low = np.maximum(boxes[rest, :2], boxes[i, :2])
        high = np.minimum(boxes[rest, 2:], boxes[i, 2:])
        overlap = (high - low).clip(min=0).prod(axis=1)
        alive[rest[overlap > threshold * (area[rest] + area[i] - overlap)]] = False
    return np.flatnonzero(alive)


set_model(ServedDetector())
