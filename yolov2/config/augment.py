"""Settings of the random changes of training images."""

from dataclasses import dataclass
from typing import Literal

from yolov2.config.section import Section, require, require_between


@dataclass(frozen=True, kw_only=True)
class AugmentConfig(Section):
    """Random changes of the training images; the defaults are darknet's for YOLOv2.

    Colours: ``hue`` is the greatest shift as a share of the colour circle; ``saturation`` and
    ``exposure`` (HSV's value) are the greatest factor, drawn as s or 1/s with s from 1 to it;
    ``brightness`` and ``contrast`` the half-widths of a factor's range around 1. ``augment_on``
    says where colours and mirroring are computed: by the processes that read the images, or for
    a whole batch on the device that trains.

    Place: ``flip`` is the probability of a mirror image (0 for digits and letters), ``jitter``
    the greatest change of width and height, as shares of them, before the aspect is taken;
    ``scale`` the range of the size relative to the letterboxed image, of which above 1 a part
    is cut out; ``translate`` how much of the free room the image is moved in (0: centred; 1:
    anywhere). A box of which less than ``min_visible`` of its area stays on the canvas is left
    out, every other one is clipped to it.

    Several images: ``mosaic`` is the probability of four images around a random point,
    ``mixup`` that of a second image laid over with a weight from Beta(``mixup_alpha``,
    ``mixup_alpha``). The last ``mosaic_off_epochs`` epochs have neither.
    """

    hue: float = 0.1
    saturation: float = 1.5
    exposure: float = 1.5
    brightness: float = 0.0
    contrast: float = 0.0
    augment_on: Literal["cpu", "device"] = "cpu"
    flip: float = 0.5
    jitter: float = 0.3
    scale: tuple[float, ...] = (1.0, 1.0)
    translate: float = 1.0
    min_visible: float = 0.1
    mosaic: float = 0.0
    mixup: float = 0.0
    mixup_alpha: float = 32.0
    mosaic_off_epochs: int = 10

    def __post_init__(self) -> None:
        shares = ("brightness", "contrast", "flip", "translate", "min_visible", "mosaic", "mixup")
        for name in shares:
            require_between(name, self.__dict__[name], 0.0, 1.0)
        require_between("hue", self.hue, 0.0, 0.5)
        require_between("saturation", self.saturation, 1.0, 100.0)
        require_between("exposure", self.exposure, 1.0, 100.0)
        require_between("jitter", self.jitter, 0.0, 0.9)
        require(
            len(self.scale) == 2 and 0.05 <= self.scale[0] <= self.scale[1] <= 20,
            f"scale must be two factors from 0.05 to 20, the lower first, not {list(self.scale)}",
        )
        require_between("mixup_alpha", self.mixup_alpha, 0.01, 10_000)
        require_between("mosaic_off_epochs", self.mosaic_off_epochs, 0, 1_000_000)

    @property
    def moves(self) -> bool:
        """Whether images are placed otherwise than a letterbox does."""
        return self.jitter > 0 or self.scale != (1.0, 1.0) or self.translate > 0

    @property
    def combines(self) -> bool:
        """Whether several images are made one."""
        return self.mosaic > 0 or self.mixup > 0

    @property
    def colours(self) -> bool:
        """Whether colours are changed."""
        return (
            max(self.hue, self.brightness, self.contrast) > 0
            or max(self.saturation, self.exposure) > 1
        )


NO_CHANGES = AugmentConfig(
    hue=0.0, saturation=1.0, exposure=1.0, flip=0.0, jitter=0.0, translate=0.0
)
"""Every random change switched off: training images are letterboxed and nothing else."""
