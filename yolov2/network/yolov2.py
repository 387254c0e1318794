"""YOLOv2: Darknet-19, two 3x3 convolutions, passthrough, one 3x3 convolution, 1x1 output.

Letters of the shapes: B images, A anchors, C classes, H W grid cells (stride 32), S side of
the input in pixels.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from yolov2.config.model import STRIDE
from yolov2.config.section import require
from yolov2.network.darknet import Darknet19, convolution, scaled

START_OBJECTNESS = 0.01
"""Objectness of the untrained network: most slots are empty, so most of the first loss is gone
(the prior of "Focal Loss for Dense Object Detection", Lin et al. 2017, section 4.1)."""


class YOLOv2(nn.Module):
    """The detector of "YOLO9000: Better, Faster, Stronger" (Redmon and Farhadi 2016).

    The passthrough sends the stride-16 map through space-to-depth (512 -> 2048 channels) and a
    1x1 convolution to 64, and joins it to the 1024 channels of the head: 1088. Fully
    convolutional: any input side that is a multiple of 32 works with the same weights.

    Args:
        num_classes: C, at least 1.
        anchors: widths and heights (A, 2) in grid cells.
        width: channel multiplier; 1.0 is the paper's network.
    """

    anchors: Tensor

    def __init__(
        self, num_classes: int, anchors: Sequence[Sequence[float]], width: float = 1.0
    ) -> None:
        super().__init__()
        require(num_classes >= 1, f"num_classes must be at least 1, not {num_classes}")
        table = torch.tensor([list(anchor) for anchor in anchors], dtype=torch.float32)
        require(
            table.ndim == 2 and table.shape[1] == 2 and bool((table > 0).all()),
            "anchors must be pairs of positive widths and heights in grid cells",
        )
        self.num_classes = num_classes
        self.num_anchors = len(table)
        self.width = width
        self.register_buffer("anchors", table, persistent=False)  # (A, 2)
        self.trunk = Darknet19(width)
        early, late, narrow = self.trunk.early_channels, self.trunk.late_channels, scaled(64, width)
        self.head = nn.Sequential(convolution(late, late, 3), convolution(late, late, 3))
        self.passthrough = nn.Sequential(nn.PixelUnshuffle(2), convolution(4 * early, narrow, 1))
        self.joined = convolution(late + narrow, late, 3)
        self.output = nn.Conv2d(late, len(table) * (5 + num_classes), 1)
        self._initialise()

    def _initialise(self) -> None:
        """He's normal weights for the leaky slope, as darknet; a quiet start of the output."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=0.1, mode="fan_in")
        # a small start of the last layer: exp(tw) explodes from He-sized logits
        nn.init.normal_(self.output.weight, std=0.01)
        bias = torch.zeros(len(self.anchors), 5 + self.num_classes)
        bias[:, 4] = -math.log(1 / START_OBJECTNESS - 1)
        with torch.no_grad():
            self.output.bias = nn.Parameter(bias.flatten())

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, S, S), RGB in [0, 1] -> raw predictions (B, A, H, W, 5+C).

        The last axis is tx, ty, tw, th, to, then C class logits; ``decode`` turns it into boxes.

        Raises:
            ValueError: S is not a multiple of 32.
        """
        if not torch.jit.is_tracing() and not torch.compiler.is_compiling():
            height, width = images.shape[-2:]
            require(
                height % STRIDE == 0 and width % STRIDE == 0,
                f"image sides must be multiples of {STRIDE}, not {height}x{width}",
            )
        early, late = self.trunk(images)
        joined = torch.cat((self.passthrough(early), self.head(late)), dim=1)
        raw: Tensor = self.output(self.joined(joined))  # (B, A*(5+C), H, W)
        raw = raw.unflatten(1, (self.num_anchors, 5 + self.num_classes))
        return raw.permute(0, 1, 3, 4, 2)  # (B, A, H, W, 5+C)
