"""All that is measured about a detector on one split."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yolov2.detection.detections import Detections
from yolov2.evaluation.annotated import AnnotatedImages
from yolov2.evaluation.bootstrap import draw_weights, interval, resampled_ap
from yolov2.evaluation.confusion import confusion_matrix, image_scores
from yolov2.evaluation.diagnosis import Calibration, calibration, error_types
from yolov2.evaluation.figures import flat_metrics
from yolov2.evaluation.hotcoco_eval import matched_judge
from yolov2.evaluation.matches import Matches, matches_of
from yolov2.evaluation.optimism import OPTIMISTIC
from yolov2.evaluation.pycocotools_eval import coco_metrics
from yolov2.evaluation.rows import ImageScore

if TYPE_CHECKING:
    from hotcoco import COCOeval


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Figures of one detector on one split.

    ``stats`` are pycocotools' twelve numbers and ``per_class`` AP, AP50 and AP by object size by
    class name; what is undefined for want of objects is absent. ``intervals`` are those of AP and
    AP50 from so many ``resamples`` of the images by ``seed``; empty without resamples.
    ``pr_curves`` has the columns recall, mean and one for each class, at IoU 0.5. ``confusion``
    (C+1, C+1) counts actual (rows) against predicted classes, background last. ``image_scores``
    come best first. ``errors`` and ``calibration``: see ``diagnosis``. ``matches`` is what the
    intervals and the curves over confidence rest on, ``judge`` hotcoco's evaluator that has made
    them: what else the tables hold is asked of it.
    """

    split: str
    images: int
    boxes: int
    class_names: tuple[str, ...]
    stats: dict[str, float]
    per_class: dict[str, dict[str, float]]
    intervals: dict[str, tuple[float, float]]
    resamples: int
    seed: int
    pr_curves: pd.DataFrame
    confusion: NDArray[np.int64]
    image_scores: list[ImageScore]
    errors: pd.DataFrame
    calibration: Calibration
    matches: Matches
    judge: "COCOeval"

    def as_json(self) -> dict[str, object]:
        """The content of ``metrics.json``."""
        content: dict[str, object] = {
            **self.stats,
            "ECE": self.calibration.ece,
            "split": self.split,
            "images": self.images,
            "boxes": self.boxes,
        }
        if self.split in OPTIMISTIC:
            content["optimistic"] = OPTIMISTIC[self.split]
        if self.intervals:
            content["intervals"] = {name: list(ends) for name, ends in self.intervals.items()}
            content["bootstrap"] = {"resamples": self.resamples, "seed": self.seed}
        errors = self.errors.set_index("error")[["count", "AP50"]].to_dict("index")
        return content | {"errors": errors, "per_class": self.per_class}

    def as_metrics(self) -> dict[str, float]:
        """The numbers under flat names, as a tracker takes them: ``AP``, ``AP50/dog``, ..."""
        return flat_metrics(self.as_json())


def evaluate(
    annotated: AnnotatedImages,
    detections: Mapping[int, Detections],
    *,
    resamples: int = 0,
    seed: int = 0,
) -> Evaluation:
    """Measure the detections, by image id, of every image; intervals if there are resamples."""
    truth, names = annotated.truth, annotated.class_names
    coco = coco_metrics(truth, detections, names)
    judge = matched_judge(truth, detections, len(names))
    matches = matches_of(judge, len(truth), len(names))
    return Evaluation(
        split=annotated.split,
        images=len(truth),
        boxes=annotated.objects,
        class_names=names,
        stats=coco.stats,
        per_class=coco.per_class,
        intervals=_intervals(matches, resamples, seed),
        resamples=resamples,
        seed=seed,
        pr_curves=coco.pr_curves,
        confusion=confusion_matrix(truth, detections, len(names)),
        image_scores=image_scores(truth, detections),
        errors=error_types(judge),
        calibration=calibration(matches, detections),
        matches=matches,
        judge=judge,
    )


def _intervals(matches: Matches, resamples: int, seed: int) -> dict[str, tuple[float, float]]:
    if resamples == 0:
        return {}
    found = resampled_ap(matches, draw_weights(matches.images, resamples, seed))
    return {"AP": interval(found.ap), "AP50": interval(found.ap50)}
