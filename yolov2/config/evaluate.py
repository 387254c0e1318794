"""Settings of detection: as it is measured, and as it is used."""

from dataclasses import dataclass
from typing import Literal

from yolov2.config.model import ModelConfig
from yolov2.config.section import Section, require_between


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(Section):
    """Which split is scored, and the thresholds of the reported average precision.

    A detection counts above ``conf_threshold``; of two boxes of a class that overlap by more than
    ``nms_threshold`` the weaker one goes; an image has ``max_detections`` at most.
    ``resamples`` of the images by ``seed`` give the confidence intervals of AP and AP50; 0: none
    are computed. ``pictures`` is how many of the best and worst images are drawn.
    """

    split: Literal["train", "val", "test"] = "test"
    batch_size: int = 16
    conf_threshold: float = 0.001
    nms_threshold: float = 0.45
    max_detections: int = 100
    resamples: int = 1000
    seed: int = 0
    pictures: int = 8

    def __post_init__(self) -> None:
        require_between("batch_size", self.batch_size, 1, 1_000_000)
        require_between("conf_threshold", self.conf_threshold, 0.0, 1.0)
        require_between("nms_threshold", self.nms_threshold, 0.0, 1.0)
        require_between("max_detections", self.max_detections, 1, 100_000)
        require_between("resamples", self.resamples, 0, 1_000_000)
        require_between("seed", self.seed, 0, 2**32 - 1)
        require_between("pictures", self.pictures, 0, 1000)


@dataclass(frozen=True, kw_only=True)
class DetectConfig(Section):
    """Thresholds of detection in use, and how the network computes.

    No section of ``params.yaml``: the command line and ``Detector.load`` take them. ``None`` is
    what the model file says: a threshold for each class, or one for all, and the side of its
    canvas. ``classes`` are names, or numbers, of those to be found; none given: all.
    """

    conf_threshold: float | None = None
    nms_threshold: float | None = None
    max_detections: int = 300
    classes: tuple[str, ...] = ()
    image_size: int | None = None
    batch_size: int = 8
    half: bool = False

    def __post_init__(self) -> None:
        if self.conf_threshold is not None:
            require_between("conf_threshold", self.conf_threshold, 0.0, 1.0)
        if self.image_size is not None:
            ModelConfig(image_size=self.image_size)  # the same rule
        if self.nms_threshold is not None:
            require_between("nms_threshold", self.nms_threshold, 0.0, 1.0)
        require_between("max_detections", self.max_detections, 1, 100_000)
        require_between("batch_size", self.batch_size, 1, 1_000_000)
