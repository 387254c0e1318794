"""Average precision of an exported file, by the evaluation that the checkpoint is judged by."""

from collections.abc import Mapping

import numpy as np

from yolov2.config.evaluate import EvaluateConfig
from yolov2.data.batches.dataset import DetectionDataset
from yolov2.data.batches.loader import EvaluationLoader
from yolov2.detection.detections import Detections
from yolov2.evaluation.annotated import AnnotatedImages
from yolov2.evaluation.evaluate import detect_images
from yolov2.evaluation.score import average_precision
from yolov2.export.onnx_graph import ExportError
from yolov2.export.proof import require_finite
from yolov2.export.suppression import SuppressingGraph
from yolov2.runtime.model_file import OpenedModel

FIGURES = ("AP", "AP50")


def score_model(
    model: OpenedModel, annotated: AnnotatedImages, config: EvaluateConfig
) -> dict[str, float]:
    """AP and AP50 of ``model`` with the thresholds of ``config``."""
    return _score(annotated, detect_images(model, annotated, config))


def score_suppressing(
    name: str, graph: SuppressingGraph, annotated: AnnotatedImages, config: EvaluateConfig
) -> dict[str, float]:
    """AP and AP50 of a graph that suppresses by itself, with the thresholds of ``config``.

    Raises:
        ExportError: it predicts NaN or infinite values; the text names the artefact ``name``.
    """
    assert annotated.root is not None, "who exports has the images"
    dataset = DetectionDataset(
        annotated.without_labels(), annotated.root, annotated.split, graph.manifest.image_size
    )
    found: dict[int, Detections] = {}
    for batch in EvaluationLoader(dataset, batch_size=config.batch_size, num_workers=0):
        detections, predictions = graph(
            batch.images.numpy().astype(np.float32) / np.float32(255),
            conf_threshold=[config.conf_threshold],
            nms_threshold=config.nms_threshold,
            max_detections=config.max_detections,
            multi_label=True,
        )  # (D, 7), (B, N, 5+C)
        require_finite(name, predictions, graph.manifest.precision)
        for i, (image_id, letterbox) in enumerate(
            zip(batch.image_ids, batch.letterboxes, strict=True)
        ):
            rows = detections[detections[:, 0] == i]
            boxes = letterbox.canvas_to_image(rows[:, 1:5].astype(np.float64))
            # the graph does not know where on the canvas the image lies
            inside = ((boxes[:, 2:] - boxes[:, :2]) > 0).all(axis=1)
            found[image_id] = Detections(
                boxes_xyxy=boxes[inside].astype(np.float32),
                scores=rows[inside, 5],
                class_ids=rows[inside, 6].astype(np.int64),
            )
    return _score(annotated, found)


def require_kept(
    name: str,
    scores: Mapping[str, float],
    reference: Mapping[str, float],
    split: str,
    max_loss: float,
) -> None:
    """Raise ``ExportError`` if the file ``name`` lost more than ``max_loss`` of its AP."""
    loss = reference["AP"] - scores["AP"]
    # not "loss > max_loss": NaN has to fail
    if not loss <= max_loss:
        raise ExportError(
            f"{name}: its AP on {split} is {scores['AP']:.4f}, which is {loss:.4f} below PyTorch's"
            f" {reference['AP']:.4f}; export.max_ap_loss allows {max_loss:g}: nothing is kept."
            " For int8 raise export.calibration_images, or leave the format out of export.formats"
        )


def _score(annotated: AnnotatedImages, detections: Mapping[int, Detections]) -> dict[str, float]:
    found = average_precision(annotated.truth, detections, len(annotated.class_names))
    return {name: float(found[name]) for name in FIGURES}
