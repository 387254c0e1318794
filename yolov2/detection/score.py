"""The score that training watches: AP and AP50 of a split, and nothing that is only reported."""

from collections.abc import Iterable

import torch

from yolov2.config import EvaluateConfig
from yolov2.data.dataset import Batch
from yolov2.data.table import LabelTables
from yolov2.detection.coco import average_precision
from yolov2.detection.detections import ground_truth
from yolov2.detection.predict import predict
from yolov2.network.decode import DecodedYOLOv2
from yolov2.network.yolov2 import YOLOv2


def score_split(
    network: YOLOv2,
    batches: Iterable[Batch],
    tables: LabelTables,
    split: str,
    config: EvaluateConfig,
    device: torch.device,
) -> dict[str, float]:
    """AP and AP50 by pycocotools of a network on ``device``, in evaluation mode, on ``split``.

    ``batches`` are those of ``split``, each image once; ``config`` gives the thresholds, its
    own split is not used.

    Raises:
        ValueError: the split has no images or no objects, or the network predicts NaN.
    """
    truth = ground_truth(tables, split)
    detections = predict(DecodedYOLOv2(network), batches, config, device)
    return average_precision(truth, detections, len(tables.class_names))
