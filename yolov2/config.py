"""Settings of the detector: one frozen dataclass per section of ``params.yaml``.

The defaults are the published recipe: 640x640, full width, learning rate 0.001 divided by ten
at epochs 60 and 90 of 160. ``params.yaml`` overrides them; the command line overrides single
values. Every section checks itself, so that a value that makes no sense fails where it is
written and not an hour later.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Literal

from yolov2.section import Section, require, require_between

STRIDE = 32
"""Pixels of the input image that one grid cell covers (five 2x2 max-poolings)."""

DEFAULT_ANCHORS: tuple[tuple[float, float], ...] = (
    (0.57273, 0.677385),
    (1.87446, 2.06253),
    (3.33843, 5.47434),
    (7.88282, 3.52778),
    (9.77052, 9.16828),
)
"""Anchor widths and heights in grid cells of darknet's ``yolov2.cfg`` (COCO)."""

OPTIMISTIC = {
    "train": "a training learns from the train split",
    "val": "a training chooses its checkpoint by the val split",
}
"""Splits on which a model scores better than on new images, and why; the test split is none."""

Policy = Literal["error", "warn", "drop", "ignore"]
EdgePolicy = Literal["error", "warn", "drop", "clip", "ignore"]


@dataclass(frozen=True, kw_only=True)
class DataConfig(Section):
    """Which data set: its description file and the folder whose content counts.

    ``root`` is relative to the folder of ``config``; ``.`` is right for every data set whose
    description lies in its own folder. DVC watches it, so that a changed image or label makes
    the pipeline stale.
    """

    config: str = "data/coco.yaml"
    root: str = "."

    def __post_init__(self) -> None:
        require(bool(self.config.strip()), "config must name a data set description (a .yaml)")
        require(bool(self.root.strip()), "root must be a folder; '.' is the description's own")


@dataclass(frozen=True, kw_only=True)
class ValidateConfig(Section):
    """What happens to each kind of mistake in the labels: stop, warn, drop the row or ignore it.

    ``outside_image: clip`` cuts a box that sticks out of the image at its edge.
    ``edge_tolerance`` is how far a normalised coordinate may leave [0, 1]: files written with
    six decimals overrun the edge by rounding.
    """

    unreadable_image: Policy = "error"
    missing_image: Policy = "error"
    malformed_line: Policy = "error"
    class_out_of_range: Policy = "error"
    outside_image: EdgePolicy = "error"
    zero_size: Policy = "error"
    duplicate: Policy = "error"
    edge_tolerance: float = 1e-5

    def __post_init__(self) -> None:
        require_between("edge_tolerance", self.edge_tolerance, 0.0, 0.1)


@dataclass(frozen=True, kw_only=True)
class AnchorsConfig(Section):
    """Where the anchors come from: clustered on the training boxes, darknet's, or given."""

    method: Literal["kmeans", "default", "given"] = "kmeans"
    k: int = 5
    restarts: int = 30
    seed: int = 0
    given: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        require_between("k", self.k, 1, 100)
        require_between("restarts", self.restarts, 1, 10_000)
        require_between("seed", self.seed, 0, 2**32 - 1)
        require(
            self.method != "given" or len(self.given) > 0,
            "method 'given' needs the anchors: given: [[width, height], ...] in grid cells",
        )
        for width, height in self.given:
            require(
                isfinite(width) and isfinite(height) and width > 0 and height > 0,
                f"given anchors must be positive, not [{width:g}, {height:g}]",
            )


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Section):
    """Size of the network: input side in pixels and channel multiplier (1.0 is the paper's)."""

    image_size: int = 640
    width: float = 1.0

    def __post_init__(self) -> None:
        require(
            # one cell of one image is too little for batch norm's statistics
            self.image_size >= 2 * STRIDE and self.image_size % STRIDE == 0,
            f"image_size must be a multiple of {STRIDE}, {2 * STRIDE} or more,"
            f" not {self.image_size}",
        )
        require_between("width", self.width, 0.05, 4.0)


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(Section):
    """Which split is scored, and the thresholds of the reported average precision.

    ``resamples`` of the images by ``seed`` give the confidence intervals; 0: none are computed.
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


def caution(split: str) -> str:
    """What people must know of figures on ``split``; empty if no training has seen it."""
    why = OPTIMISTIC.get(split)
    return f"optimistic: {why}; on new images expect less" if why else ""


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
