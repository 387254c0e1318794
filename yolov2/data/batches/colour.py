"""Colours of training images: hue, saturation, exposure, brightness, contrast; and mirroring.

Letters of the shapes: B images, S side of the canvas, H W rows and columns, ``...`` any leading
dimensions.

All changes of one image are one matrix that each pixel is multiplied with, which is several times
as fast as darknet's ``distort_image``: that works out hue, saturation and value of each pixel.
Exposure is the same in both. Saturation moves the channels away from their mean, not from the
largest of them: hue and chroma come out the same, the brightness differs. Hue is turned about the
grey axis, not along the edges of the colour cube: a channel differs by at most a third of the
difference between the largest and the smallest one, and at thirds of the circle not at all.
Values are rounded to whole numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yolov2.boxes import FloatArray
from yolov2.config.augment import AugmentConfig

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey image (ITU-R BT.601)."""

MEAN = np.full((3, 3), 1 / 3)
"""The matrix that makes every channel the mean of the three."""

ACROSS = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
"""The matrix that makes red of blue without green, and so on round the circle."""

PART = 30_000
"""Pixels whose colours are changed at a time: what is computed on the way stays in the cache."""


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is done to the colours of one image, and whether it is mirrored.

    ``hue`` is a share of the colour circle, the others are factors; the default is no change.
    """

    hue: float = 0.0
    saturation: float = 1.0
    exposure: float = 1.0
    brightness: float = 1.0
    contrast: float = 1.0
    flip: bool = False

    @property
    def keeps_colours(self) -> bool:
        """Whether all colours stay."""
        return self.hue == 0 and self.saturation == self.gain == self.contrast == 1

    @property
    def gain(self) -> float:
        """The factor of all channels: exposure and brightness are the same."""
        return self.exposure * self.brightness


def draw_changes(config: AugmentConfig, rng: np.random.Generator) -> Changes:
    """Random changes within the ranges of ``config``."""
    u = rng.uniform(-1, 1, size=5).tolist()
    return Changes(
        hue=config.hue * u[0],
        saturation=_factor(config.saturation, u[1]),
        exposure=_factor(config.exposure, u[2]),
        brightness=1 + config.brightness * u[3],
        contrast=1 + config.contrast * u[4],
        flip=bool(rng.random() < config.flip),
    )


def _factor(largest: float, u: float) -> float:
    """Darknet's ``rand_scale``: s, or 1/s where ``u`` is negative; s is 1 for 0."""
    s = 1 + (largest - 1) * abs(u)
    return s if u >= 0 else 1 / s


def apply_changes(image: Tensor, changes: Changes) -> Tensor:
    """An image uint8 (3, S, S) RGB with ``changes`` made, in its own memory where it can be."""
    if changes.keeps_colours:
        return image.flip(-1) if changes.flip else image
    side, height = image.shape[2], max(1, PART // image.shape[2])
    row = stack_changes([changes])  # (1, 6)
    matrix = torch.from_numpy(_matrices(row.numpy()))[0]  # (3, 3)
    # 0.5, for the conversion to whole numbers cuts off what follows the point
    offset = torch.full((3, 1), 0.5)
    if changes.contrast != 1:
        offset += _offsets(image[None], row)[0]
    before, after = torch.empty(2, 3, height, side).unbind()
    whole = torch.empty(3, height, side, dtype=torch.int16)
    for rows in image.split(height, dim=1):  # (3, H, S)
        used = slice(rows.shape[1])
        before[:, used] = rows.flip(-1) if changes.flip else rows
        new = after[:, used]
        torch.addmm(offset, matrix, before[:, used].flatten(1), out=new.flatten(1))
        # through int16, which is four times as fast as straight to uint8
        whole[:, used] = new.clamp_(0, 255)
        rows.copy_(whole[:, used])
    return image


def stack_changes(changes: Sequence[Changes]) -> Tensor:
    """Changes of B images -> float32 (B, 6), the fields in their order."""
    rows = [(c.hue, c.saturation, c.exposure, c.brightness, c.contrast, c.flip) for c in changes]
    return torch.tensor(rows, dtype=torch.float32).view(-1, 6)


def augment_batch(images: Tensor, changes: Tensor) -> Tensor:
    """Images (B, 3, H, W) of 0-255 -> float32 in [0, 1] on their device, with changes (B, 6) made.

    ``changes`` come from ``stack_changes`` and are best on the CPU. The result is that of
    ``apply_changes``, not rounded to whole numbers.
    """
    matrices = torch.from_numpy(_matrices(changes.cpu().numpy())).to(images.device)  # (B, 3, 3)
    changes = changes.to(images.device)
    flip = changes[:, 5, None, None, None] > 0
    before = torch.where(flip, images.flip(-1), images).to(torch.float32).flatten(2)
    with torch.autocast(images.device.type, enabled=False):
        after = torch.baddbmm(_offsets(images, changes), matrices, before)  # (B, 3, H*W)
    return after.clamp_(0, 255).div_(255).view(images.shape)


def _offsets(images: Tensor, changes: Tensor) -> Tensor:
    """What contrast adds to every channel (B, 1, 1): it keeps the mean grey of the image."""
    _, _, exposure, brightness, contrast, _ = changes[:, :, None, None].unbind(1)  # (B, 1, 1)
    luma = torch.tensor(LUMA, device=images.device)
    grey = (images.mean(dim=(2, 3), dtype=torch.float32) * luma).sum(dim=1)  # (B,)
    return (1 - contrast) * exposure * brightness * grey[:, None, None]


def _matrices(changes: FloatArray) -> NDArray[np.float32]:
    """For changes (B, 6) the matrices (B, 3, 3) that RGB is multiplied with."""
    hue, saturation, exposure, brightness, contrast, _ = changes.T[:, :, None, None]  # (B, 1, 1)
    angle = 2 * np.pi * hue
    # a turn about the grey axis, by Rodrigues' formula
    turn = np.cos(angle) * (np.eye(3) - MEAN) + MEAN + np.sin(angle) / 3**0.5 * ACROSS
    matrices = exposure * brightness * contrast * (saturation * (turn - MEAN) + MEAN)
    return np.asarray(matrices, dtype=np.float32)
