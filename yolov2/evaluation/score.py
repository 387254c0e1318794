"""The score that training watches: AP and AP50 of a split, and nothing that is only reported."""

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Protocol, TypeVar

import torch

from yolov2.config.evaluate import EvaluateConfig
from yolov2.data.batches.dataset import Batch
from yolov2.data.batches.loader import Tell, silent
from yolov2.data.table import LabelTables
from yolov2.detection.detections import Detections, GroundTruth, ground_truth
from yolov2.detection.predict import predict
from yolov2.evaluation import hotcoco_eval, pycocotools_eval
from yolov2.network.decode import DecodedYOLOv2
from yolov2.network.yolov2 import YOLOv2

Content = TypeVar("Content")


class Processes(Protocol):
    """Processes that share an evaluation; ``yolov2.training.world.World`` has this form."""

    def gather(self, content: Content) -> list[Content]:
        """What each process gave, on the first; on the others an empty list."""

    def share(self, content: Content) -> Content:
        """What the first process gave, on all."""


def score_split(
    network: YOLOv2,
    batches: Iterable[Batch],
    tables: LabelTables,
    split: str,
    config: EvaluateConfig,
    device: torch.device,
    processes: Processes | None = None,
    tell: Tell = silent,
) -> Mapping[str, float]:
    """AP and AP50 by COCO's rules of a network on ``device``, in evaluation mode, on ``split``.

    ``batches`` are those of ``split``, each image once, over all ``processes`` together;
    ``config`` gives the thresholds, its own split is not used; ``tell`` gets what people should
    know of the way.

    Raises:
        ValueError: the split has no images or no objects, the network predicts NaN, or neither
            hotcoco nor pycocotools is installed.
    """
    truth = ground_truth(tables, split)
    found = predict(DecodedYOLOv2(network), batches, config, device, tell)
    parts = [found] if processes is None else processes.gather(found)
    scores: dict[str, float] = {}
    if parts:
        detections: dict[int, Detections] = {}
        for part in parts:
            detections |= part
        scores = average_precision(truth, detections, len(tables.class_names))
    return scores if processes is None else processes.share(scores)


def average_precision(
    truth: Mapping[int, GroundTruth], detections: Mapping[int, Detections], classes: int
) -> dict[str, float]:
    """AP and AP50 by hotcoco; where it is not installed the same values by pycocotools, slower.

    Raises:
        ValueError: neither is installed.
    """
    if find_spec("hotcoco") is not None:
        return hotcoco_eval.average_precision(truth, detections, classes)
    if find_spec("pycocotools") is not None:
        return pycocotools_eval.average_precision(truth, detections, classes)
    raise ValueError(
        "average precision needs hotcoco or pycocotools, and neither is installed: pip install"
        " hotcoco"
    )
