"""Direct location prediction: raw network output -> boxes, objectness, class probabilities.

Letters of the shapes: B images, A anchors, C classes, H W grid cells.
"""

import torch
from torch import Tensor, nn

from yolov2.config.model import STRIDE
from yolov2.network.inference import InferenceYOLOv2
from yolov2.network.yolov2 import YOLOv2

MAX_LOG_SIZE = 8.0
"""Bound of tw and th: a box of e^8 = 2981 anchor sizes; keeps exp finite in half precision."""


def decode_boxes(raw: Tensor, anchors: Tensor) -> Tensor:
    """Boxes (B, A, H, W, 4) cxcywh in grid cells of raw predictions (B, A, H, W, 4 or more).

    With the cell (i, j) = (column, row) and the anchor (pw, ph) in cells:
    ``cx = i + sigmoid(tx)``, ``cy = j + sigmoid(ty)``, ``w = pw exp(tw)``, ``h = ph exp(th)``
    (YOLO9000, section 2, "Direct location prediction").
    """
    grid_height, grid_width = raw.shape[2], raw.shape[3]
    columns = torch.arange(grid_width, device=raw.device, dtype=raw.dtype)
    rows = torch.arange(grid_height, device=raw.device, dtype=raw.dtype)
    cx = raw[..., 0].sigmoid() + columns  # (B, A, H, W)
    cy = raw[..., 1].sigmoid() + rows[:, None]
    size = raw[..., 2:4].clamp(max=MAX_LOG_SIZE).exp() * anchors.to(raw.dtype)[:, None, None, :]
    return torch.cat((cx[..., None], cy[..., None], size), dim=-1)


def decode(raw: Tensor, anchors: Tensor) -> Tensor:
    """Raw predictions (B, A, H, W, 5+C) -> decoded (B, A*H*W, 5+C).

    The last axis is cx, cy, w, h in pixels of the network's input, objectness in [0, 1], then
    C class probabilities in [0, 1] (independent sigmoids, as trained).
    """
    boxes_cxcywh_pixels = decode_boxes(raw, anchors) * STRIDE
    return torch.cat((boxes_cxcywh_pixels, raw[..., 4:].sigmoid()), dim=-1).flatten(1, 3)


class DecodedYOLOv2(nn.Module):
    """The network with its decoding: the graph that is exported and that detects."""

    def __init__(self, network: YOLOv2 | InferenceYOLOv2) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, S, S), RGB in [0, 1] -> decoded predictions (B, A*H*W, 5+C)."""
        return decode(self.network(images), self.network.anchors)
