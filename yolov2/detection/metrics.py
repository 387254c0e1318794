"""All that is measured about a detector on one split."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yolov2.data.table import LabelTables
from yolov2.detection.coco import coco_metrics
from yolov2.detection.detections import Detections, ground_truth
from yolov2.detection.matching import ImageScore, confusion_matrix, image_scores


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Figures of one detector on one split.

    ``stats`` are pycocotools' twelve numbers and ``per_class`` AP and AP50 by class name; what
    is undefined for want of objects is absent. ``pr_curves`` has the columns recall, mean and
    one for each class, at IoU 0.5. ``confusion`` (C+1, C+1) counts actual (rows) against
    predicted classes, background last. ``image_scores`` come best first.
    """

    split: str
    images: int
    boxes: int
    class_names: tuple[str, ...]
    stats: dict[str, float]
    per_class: dict[str, dict[str, float]]
    pr_curves: pd.DataFrame
    confusion: NDArray[np.int64]
    image_scores: list[ImageScore]

    def as_json(self) -> dict[str, object]:
        """The content of ``metrics.json``."""
        return {
            **self.stats,
            "split": self.split,
            "images": self.images,
            "boxes": self.boxes,
            "per_class": self.per_class,
        }

    def as_metrics(self) -> dict[str, float]:
        """The numbers under flat names, as a tracker takes them: ``AP``, ``AP50/dog``, ..."""
        flat = dict(self.stats)
        for name, values in self.per_class.items():
            flat.update({f"{metric}/{name}": value for metric, value in values.items()})
        return flat


def evaluate(tables: LabelTables, split: str, detections: Mapping[int, Detections]) -> Evaluation:
    """Measure the detections, by image id, of every image of a split.

    Raises:
        ValueError: the split has no images or no objects.
    """
    truth = ground_truth(tables, split)
    coco = coco_metrics(truth, detections, tables.class_names)
    return Evaluation(
        split=split,
        images=len(truth),
        boxes=sum(len(objects) for objects in truth.values()),
        class_names=tables.class_names,
        stats=coco.stats,
        per_class=coco.per_class,
        pr_curves=coco.pr_curves,
        confusion=confusion_matrix(truth, detections, len(tables.class_names)),
        image_scores=image_scores(truth, detections),
    )
