"""Settings of the data: which set, what happens to mistakes in it, and where anchors come from."""

from dataclasses import dataclass
from math import isfinite
from typing import Literal, get_args, get_type_hints

from yolov2.config.section import Section, require, require_between

Policy = Literal["error", "warn", "drop", "ignore"]
EdgePolicy = Literal["error", "warn", "drop", "clip", "ignore"]

Kind = Literal[
    "missing_image",
    "unreadable_image",
    "malformed_line",
    "class_out_of_range",
    "outside_image",
    "zero_size",
    "duplicate",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Every kind of mistake, in the order of reports; its rule is in ``yolov2.data.labels.rules``."""


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


def policies_of(kind: Kind) -> tuple[EdgePolicy, ...]:
    """The policies that a kind of mistake may have."""
    return get_args(get_type_hints(ValidateConfig)[kind])


@dataclass(frozen=True, kw_only=True)
class AnchorsConfig(Section):
    """Where the anchors come from: clustered on the training boxes, darknet's, or given.

    ``k`` anchors are clustered, the best of ``restarts`` random starts by ``seed``. ``default``
    are darknet's for COCO; ``given`` holds pairs of width and height in grid cells of 32 pixels.
    """

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
