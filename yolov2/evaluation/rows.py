"""What the tables of an evaluation are made of: rows, names and the bounds that they hold for.

Whoever judges writes them, whoever draws reads them; neither needs the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from yolov2.boxes import FloatArray
from yolov2.detection.detections import Detections, GroundTruth

MATCH_SCORE = 0.25
"""Score above which a detection counts (darknet's threshold for precision, recall and F1)."""

MATCH_IOU = 0.5

CALIBRATION_SCORE = 0.05
"""Detections below are left out of the calibration: at a reporting threshold of 0.001 they are
nearly all there is, nearly all wrong, and would make every detector look calibrated."""

LABEL_ERROR_SCORE = 0.5
"""A detection must be so sure to cast doubt on a label."""

FIGURES = ("F1", "precision", "recall")
"""Of each there is a table over the score threshold."""

BACKGROUND = "background"
"""What is nothing, in the confusion matrix."""


@dataclass(frozen=True, kw_only=True)
class ImageScore:
    """How well one image was done: objects found with the right class, missed, and false alarms."""

    image_id: int
    found: int
    missed: int
    false: int

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 for an empty image left empty."""
        total = 2 * self.found + self.missed + self.false
        return 2 * self.found / total if total else 1.0


@dataclass(frozen=True, kw_only=True)
class BestThreshold:
    """The score threshold of one class that gives the best F1, and what it gives."""

    threshold: float
    f1: float
    precision: float
    recall: float


@dataclass(frozen=True, kw_only=True)
class LabelError:
    """A detection that says the label is wrong: a box is missing, or has another class.

    ``detection`` is its place among the detections of the image, ``object`` the place among the
    annotated ones of the object there (None: there is none). ``box_xyxy`` is the detection's in
    pixels of the image, ``annotated`` the class id of the object, ``box_annotated_xyxy`` its box.
    """

    image_id: int
    detection: int
    object: int | None
    kind: Literal["missing annotation", "wrong class"]
    score: float
    detected: int
    box_xyxy: tuple[float, float, float, float]
    annotated: int | None
    box_annotated_xyxy: tuple[float, float, float, float] | None

    @classmethod
    def at(
        cls, image_id: int, detection: int, place: int | None, truth: GroundTruth, found: Detections
    ) -> "LabelError":
        """The one by a detection of an image; ``place`` is that of the object."""
        return cls(
            image_id=image_id,
            detection=detection,
            object=place,
            kind="missing annotation" if place is None else "wrong class",
            score=float(found.scores[detection]),
            detected=int(found.class_ids[detection]),
            box_xyxy=_corners(found.boxes_xyxy[detection]),
            annotated=None if place is None else int(truth.class_ids[place]),
            box_annotated_xyxy=None if place is None else _corners(truth.boxes_xyxy[place]),
        )


def confusion_labels(class_names: Sequence[str]) -> list[str]:
    """How the classes are called in the table of the confusion, the background last."""
    names = [name if name != BACKGROUND else f"{name} (class)" for name in class_names]
    return [*names, BACKGROUND]


def _corners(box_xyxy: FloatArray) -> tuple[float, float, float, float]:
    left, top, right, bottom = map(float, box_xyxy)
    return left, top, right, bottom
