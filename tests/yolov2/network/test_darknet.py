"""The trunk: what pooling before the activation changes, and what not."""

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, max_pool2d

from yolov2.network.darknet import Darknet19


def in_the_paper_s_order(trunk: Darknet19, images: Tensor) -> tuple[Tensor, Tensor]:
    """Convolution, batch norm, leaky ReLU; a pooling after layers 0, 2, 6, 10 and 16."""
    blocks = [m for m in trunk.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    x, early = images, images
    for i, (convolution, norm) in enumerate(zip(blocks[::2], blocks[1::2], strict=True)):
        x = leaky_relu(norm(convolution(x)), 0.1)
        if i == 12:
            early = x
        if i in (0, 1, 4, 7, 12):
            x = max_pool2d(x, 2)
    return early, x


def test_pooling_before_the_activation_gives_the_same_bits_and_gradients() -> None:
    trunk = Darknet19(width=0.125)
    for module in trunk.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)  # also falling ones
            nn.init.normal_(module.bias)
    images = torch.rand(2, 3, 64, 96)
    found = trunk(images)
    expected = in_the_paper_s_order(trunk, images)
    assert found[0].shape == (2, 64, 4, 6)
    assert found[1].shape == (2, 128, 2, 3)
    for mine, theirs in zip(found, expected, strict=True):
        assert torch.equal(mine, theirs)
    gradients = [
        torch.autograd.grad(early.sum() + late.square().sum(), list(trunk.parameters()))
        for early, late in (found, expected)
    ]
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs)
