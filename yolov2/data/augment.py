"""Random changes of a training image: brightness, contrast, horizontal flip.

Pixels are changed by torchvision's ``transforms.v2``; the boxes follow the geometry.
"""

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from yolov2.train_config import AugmentConfig


def augment_image(
    image: Tensor, targets: Tensor, config: AugmentConfig, *, seed: int
) -> tuple[Tensor, Tensor]:
    """One image uint8 (3, S, S) and its boxes (n, 5) changed at random.

    Boxes are class, cx, cy, w, h as shares of the canvas. The same ``seed`` gives the same
    result.
    """
    draw = torch.rand(3, generator=torch.Generator().manual_seed(seed)).tolist()
    if config.brightness > 0:
        factor = 1 + config.brightness * (2 * draw[0] - 1)
        image = functional.adjust_brightness(image, factor)
    if config.contrast > 0:
        factor = 1 + config.contrast * (2 * draw[1] - 1)
        image = functional.adjust_contrast(image, factor)
    if draw[2] < config.flip:
        image = functional.horizontal_flip(image)
        targets = targets.clone()
        targets[:, 1] = 1 - targets[:, 1]
    return image, targets
