"""Which slot of the grid answers for which box, and which empty slots are left alone.

Letters of the shapes: B images, A anchors, H W grid cells, N = A*H*W slots of an image, T boxes
of the batch, P of them that got a slot, M the most boxes of one image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import box_convert


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """The boxes that got a slot, and where.

    ``slot`` (P,) counts through (B, A, H, W) flattened; ``class_id`` (P,);
    ``box_cxcywh_cells`` (P, 4) in grid cells; ``offset`` (P, 2) the part of the centre inside
    its cell, in [0, 1); ``log_size`` (P, 2) ln(size / anchor). ``collisions`` is the number of
    boxes (a tensor, so that nothing waits for the device) whose slot a later box took.
    """

    slot: Tensor
    class_id: Tensor
    box_cxcywh_cells: Tensor
    offset: Tensor
    log_size: Tensor
    collisions: Tensor


def assign(targets: Tensor, anchors: Tensor, *, batch: int, grid: tuple[int, int]) -> Assignment:
    """Give every box the cell that holds its centre and the anchor that fits its size best.

    ``targets`` (T, 6) is image index, class, cx, cy, w, h as shares of the canvas; ``anchors``
    (A, 2) in cells; ``grid`` is (H, W). The best anchor has the greatest IoU with the box when
    both are centred on one point; the first of equals wins. Of several boxes with one slot the
    last in the list keeps it, as in darknet, and the others are counted.
    """
    rows, columns = grid
    scale = targets.new_tensor([columns, rows, columns, rows])
    box_cxcywh_cells = targets[:, 2:6] * scale  # (T, 4)
    size = box_cxcywh_cells[:, 2:4]
    limit = targets.new_tensor([columns - 1, rows - 1])
    cell = torch.minimum(box_cxcywh_cells[:, :2].floor().clamp(min=0), limit)  # (T, 2) i, j
    anchor = _size_iou(size, anchors).argmax(dim=1)  # (T,)
    image = targets[:, 0].long()
    slot = ((image * len(anchors) + anchor) * rows + cell[:, 1].long()) * columns
    slot = slot + cell[:, 0].long()
    order = torch.arange(len(targets), device=targets.device)
    holder = order.new_full((batch * len(anchors) * rows * columns,), -1)
    holder = holder.scatter_reduce(0, slot, order, "amax")
    kept = holder[slot] == order  # (T,)
    return Assignment(
        slot=slot[kept],
        class_id=targets[kept, 1].long(),
        box_cxcywh_cells=box_cxcywh_cells[kept],
        offset=(box_cxcywh_cells[:, :2] - cell)[kept],
        log_size=(size / anchors[anchor]).log()[kept],
        collisions=(~kept).sum(),
    )


def _size_iou(sizes: Tensor, anchors: Tensor) -> Tensor:
    """Overlap (T, A) of sizes (T, 2) and anchors (A, 2) centred on one point."""
    intersection = torch.minimum(sizes[:, None], anchors[None]).prod(dim=-1)
    return intersection / (sizes.prod(dim=-1)[:, None] + anchors.prod(dim=-1) - intersection)


def best_iou(boxes_cxcywh_cells: Tensor, targets: Tensor, *, grid: tuple[int, int]) -> Tensor:
    """Greatest overlap (B, N) of each predicted box (B, N, 4) with any box of its image.

    ``targets`` as in ``assign``; an image without boxes gives 0.
    """
    batch, predictions = boxes_cxcywh_cells.shape[:2]
    if len(targets) == 0:
        return boxes_cxcywh_cells.new_zeros(batch, predictions)
    rows, columns = grid
    scale = targets.new_tensor([columns, rows, columns, rows])
    truth = box_convert(targets[:, 2:6] * scale, "cxcywh", "xyxy")  # (T, 4)
    image = targets[:, 0].long()
    counts = torch.bincount(image, minlength=batch)
    order = torch.argsort(image, stable=True)
    first = counts.cumsum(0) - counts
    rank = torch.arange(len(targets), device=targets.device) - first[image[order]]
    padded = truth.new_zeros(batch, int(counts.max()), 4)  # (B, M, 4); empty boxes overlap 0
    padded[image[order], rank] = truth[order]
    predicted = box_convert(boxes_cxcywh_cells, "cxcywh", "xyxy")
    return _iou(predicted[:, None], padded[:, :, None]).amax(dim=1)  # (B, M, N) -> (B, N)


def _iou(boxes1_xyxy: Tensor, boxes2_xyxy: Tensor) -> Tensor:
    """Overlap (...) of boxes paired by broadcasting, each (..., 4); 0 for an empty box."""
    left_top = torch.maximum(boxes1_xyxy[..., :2], boxes2_xyxy[..., :2])
    right_bottom = torch.minimum(boxes1_xyxy[..., 2:], boxes2_xyxy[..., 2:])
    intersection = (right_bottom - left_top).clamp(min=0).prod(dim=-1)
    area1 = (boxes1_xyxy[..., 2:] - boxes1_xyxy[..., :2]).prod(dim=-1)
    area2 = (boxes2_xyxy[..., 2:] - boxes2_xyxy[..., :2]).prod(dim=-1)
    return intersection / (area1 + area2 - intersection)


def aligned_iou(boxes1_cxcywh: Tensor, boxes2_cxcywh: Tensor) -> Tensor:
    """Overlap (P,) of boxes (P, 4) and (P, 4), pair by pair."""
    return _iou(
        box_convert(boxes1_cxcywh, "cxcywh", "xyxy"), box_convert(boxes2_cxcywh, "cxcywh", "xyxy")
    )
