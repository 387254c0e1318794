"""Settings of the network: its input and width, darknet's anchors, and the stride of its grid.

The defaults of every section are the published recipe: 640x640, full width, learning rate 0.001
divided by ten at epochs 60 and 90 of 160. ``params.yaml`` overrides them; the command line
overrides single values. Every section checks itself, so that a value that makes no sense fails
where it is written and not an hour later.
"""

from dataclasses import dataclass

from yolov2.config.section import Section, require, require_between

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
