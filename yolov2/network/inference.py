"""The network made ready for inference: batch norms folded away, arithmetic in a given type.

Letters of the shapes: B images, A anchors, C classes, H W grid cells, S side in pixels.
"""

import copy
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from yolov2.network.yolov2 import YOLOv2


def fold_batch_norms(network: YOLOv2) -> YOLOv2:
    """A copy in evaluation mode, the batch norms folded into the convolutions before them."""
    copied = copy.deepcopy(network).eval()
    for module in copied.modules():
        if isinstance(module, nn.Sequential):
            for i, (first, second) in enumerate(pairwise(list(module))):
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    module[i], module[i + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
    return copied


class InferenceYOLOv2(nn.Module):
    """A network, its batch norms folded, that computes in ``dtype``: float32 in, float32 out.

    Channels lie last in memory, which is the faster layout.
    """

    anchors: Tensor

    def __init__(self, network: YOLOv2, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        folded = fold_batch_norms(network)
        self.network = folded.to(dtype).to(memory_format=torch.channels_last)
        self.dtype = dtype
        # the network's own are rounded to its type with its weights
        self.register_buffer("anchors", network.anchors.clone())  # (A, 2)
        for module in self.modules():
            if isinstance(module, nn.LeakyReLU):
                module.inplace = False  # exporters want none

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, S, S), RGB in [0, 1] -> raw predictions float32 (B, A, H, W, 5+C)."""
        raw: Tensor = self.network(images.to(self.dtype, memory_format=torch.channels_last))
        return raw.float()
