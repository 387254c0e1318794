"""Colours of training images: hue, saturation, exposure, brightness, contrast; and mirroring.

Letters of the shapes: B images, S side of the canvas, H W rows and columns, ``...`` any leading
dimensions.

All changes of one image are one matrix that each pixel is multiplied with: red, green, blue, the
largest of them and the smallest. Saturation and exposure are HSV's, as in darknet's
``distort_image``: a channel p becomes v (V - s (V - p)), V being the largest, s and v the factors.
A shift of the hue by whole sixths of the colour circle moves each channel's value to another
channel, as it is or turned over (V + smallest - p); in between, the two nearest shifts are
weighed. There darknet, which works out the hue of each pixel, differs: by at most a quarter of
the difference between the largest and the smallest channel, half-way between two sixths. Unlike
darknet's, values are rounded to whole numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yolov2.augment_config import AugmentConfig
from yolov2.boxes import FloatArray

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey image (ITU-R BT.601)."""

PART = 40_000
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
    if changes.flip:
        image = image.flip(-1)
    if changes.keeps_colours:
        return image
    matrix = torch.from_numpy(_matrices(stack_changes([changes]).numpy()))[0]  # (3, 5)
    # 0.5, for the conversion to whole numbers cuts off what follows the point
    offset = torch.full((3, 1), 0.5)
    if changes.contrast != 1:
        offset += _offsets(image[None], stack_changes([changes]))[0]
    before, after = _with_extremes(image).flatten(1), image.view(3, -1)  # (5, S*S), (3, S*S)
    floats, values = torch.empty(5, PART), torch.empty(3, PART)
    whole = torch.empty(3, PART, dtype=torch.int16)
    for pixels, changed in zip(before.split(PART, dim=1), after.split(PART, dim=1), strict=True):
        part = slice(pixels.shape[1])
        floats[:, part] = pixels
        torch.addmm(offset, matrix, floats[:, part], out=values[:, part]).clamp_(0, 255)
        # through int16, which is four times as fast as straight to uint8
        whole[:, part] = values[:, part]
        changed.copy_(whole[:, part])
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
    matrices = torch.from_numpy(_matrices(changes.cpu().numpy())).to(images.device)  # (B, 3, 5)
    changes = changes.to(images.device)
    images = torch.where(changes[:, 5, None, None, None] > 0, images.flip(-1), images)
    planes = _with_extremes(images).to(torch.float32).flatten(2)  # (B, 5, H*W)
    with torch.autocast(images.device.type, enabled=False):
        values = torch.baddbmm(_offsets(images, changes), matrices, planes)  # (B, 3, H*W)
    return values.clamp_(0, 255).div_(255).view(images.shape)


def _with_extremes(images: Tensor) -> Tensor:
    """RGB (..., 3, H, W) -> (..., 5, H, W), the largest and the smallest of the three added."""
    red, green, blue = images.split(1, dim=-3)  # (..., 1, H, W)
    largest = torch.maximum(torch.maximum(red, green), blue)
    smallest = torch.minimum(torch.minimum(red, green), blue)
    return torch.cat((images, largest, smallest), dim=-3)


def _offsets(images: Tensor, changes: Tensor) -> Tensor:
    """What contrast adds to every channel (B, 1, 1): it keeps the mean grey of the image."""
    _, _, exposure, brightness, contrast, _ = changes[:, :, None, None].unbind(1)  # (B, 1, 1)
    luma = torch.tensor(LUMA, device=images.device)
    grey = (images.mean(dim=(2, 3), dtype=torch.float32) * luma).sum(dim=1)  # (B,)
    return (1 - contrast) * exposure * brightness * grey[:, None, None]


def _matrices(changes: FloatArray) -> NDArray[np.float32]:
    """For changes (B, 6) the matrices (B, 3, 5) that make red, green, blue of the five planes."""
    hue, saturation, exposure, brightness, contrast, _ = changes.astype(np.float64).T
    sixth = np.floor(6 * hue).astype(int)
    beyond = (6 * hue - sixth)[:, None, None]
    shifted = (1 - beyond) * SIXTHS[sixth % 6] + beyond * SIXTHS[(sixth + 1) % 6]  # (B, 3, 5)
    gain = (exposure * brightness * contrast)[:, None, None]
    saturated = saturation[:, None, None]
    return np.asarray(gain * (saturated * shifted + (1 - saturated) * LARGEST), dtype=np.float32)


LARGEST = np.array([[0.0, 0, 0, 1, 0]] * 3)
"""The matrix (3, 5) that makes every channel the largest."""


def _sixths() -> FloatArray:
    """The matrices (6, 3, 5) that shift the hue by 0, 1, ... 5 sixths of the circle."""
    same = np.eye(3, 5)
    opposite = np.array([[0.0, 0, 0, 1, 1]] * 3) - same  # three sixths: V + smallest - p
    # rolling the rows by one moves red's value to green: two sixths
    return np.stack(
        [
            np.roll(opposite if turn % 2 else same, (turn - 3 * (turn % 2)) // 2, axis=0)
            for turn in range(6)
        ]
    )


SIXTHS = _sixths()
