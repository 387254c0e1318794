"""Which slot of the grid answers for which box, and which empty slots are left alone.

Letters of the shapes: B images, A anchors, H W grid cells, N = A*H*W slots of an image, T boxes
of the batch. Nothing here waits for the device: no shape depends on the values of a tensor.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import box_convert


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """The slot of every box, and what its predictions should be.

    ``place`` is the slot as image, anchor, row and column, each (T,); ``slot`` (T,) the same
    counted through (B, A, H, W) flattened. ``keeper`` (T,) is the index of the box that keeps
    this slot, which is another one where boxes collide, and ``kept`` (T,) says that it is the
    box itself. ``class_id`` (T,); ``box_cxcywh_cells`` (T, 4) in grid cells; ``offset`` (T, 2)
    the part of the centre inside its cell, in [0, 1]; ``log_size`` (T, 2) ln(size / anchor).
    """

    place: tuple[Tensor, Tensor, Tensor, Tensor]
    slot: Tensor
    keeper: Tensor
    kept: Tensor
    class_id: Tensor
    box_cxcywh_cells: Tensor
    offset: Tensor
    log_size: Tensor


def assign(targets: Tensor, anchors: Tensor, *, batch: int, grid: tuple[int, int]) -> Assignment:
    """Give every box the cell that holds its centre and the anchor that fits its size best.

    ``targets`` (T, 6) is image index, class, cx, cy, w, h as shares of the canvas; ``anchors``
    (A, 2) in cells; ``grid`` is (H, W). The best anchor has the greatest IoU with the box when
    both are centred on one point; the first of equals wins. Of several boxes with one slot the
    last in the list keeps it, as in darknet.
    """
    rows, columns = grid
    image, class_id = targets[:, :2].long().unbind(1)  # (T,)
    box_cxcywh_cells = _in_cells(targets, grid)
    centre, size = box_cxcywh_cells.split(2, dim=1)  # (T, 2)
    column = centre[:, 0].long().clamp(0, columns - 1)  # (T,)
    row = centre[:, 1].long().clamp(0, rows - 1)
    anchor = _size_iou(size, anchors).argmax(dim=1)
    slot = ((image * len(anchors) + anchor) * rows + row) * columns + column
    order = torch.arange(len(targets), device=targets.device)
    last = order.new_zeros(batch * len(anchors) * rows * columns)  # of each slot; read if taken
    keeper = last.scatter_reduce_(0, slot, order, "amax")[slot]  # (T,)
    return Assignment(
        place=(image, anchor, row, column),
        slot=slot,
        keeper=keeper,
        kept=keeper == order,
        class_id=class_id,
        box_cxcywh_cells=box_cxcywh_cells,
        offset=centre - torch.stack((column, row), dim=1),
        log_size=(size / anchors[anchor]).log(),
    )


def _in_cells(targets: Tensor, grid: tuple[int, int]) -> Tensor:
    """Boxes (T, 4) cxcywh in grid cells."""
    rows, columns = grid
    cx, cy, w, h = targets[:, 2:6].unbind(1)
    return torch.stack((cx * columns, cy * rows, w * columns, h * rows), dim=1)


def _size_iou(sizes: Tensor, anchors: Tensor) -> Tensor:
    """Overlap (T, A) of sizes (T, 2) and anchors (A, 2) centred on one point."""
    intersection = torch.minimum(sizes[:, None], anchors[None]).prod(dim=-1)
    return intersection / (sizes.prod(dim=-1)[:, None] + anchors.prod(dim=-1) - intersection)


def best_iou(boxes_cxcywh_cells: Tensor, targets: Tensor, *, grid: tuple[int, int]) -> Tensor:
    """Greatest overlap (B, N) of each predicted box (B, N, 4) with any box of its image.

    ``targets`` as in ``assign``; an image without boxes gives 0. Every box is compared with the
    N predictions of its own image, in place: fresh memory for each of these tables (T, N) would
    take several times as long as the arithmetic.
    """
    image = targets[:, 0].long()
    cx, cy, w, h = _in_cells(targets, grid)[..., None].unbind(1)  # (T, 1)
    x, y, wide, high = boxes_cxcywh_cells.unbind(2)  # (B, N)
    intersection = _shared(x, wide, cx, w, image).clamp_(min=0)  # (T, N)
    # where only this factor is negative the overlap is too, which is no more than 0
    intersection.mul_(_shared(y, high, cy, h, image))
    union = (wide * high).index_select(0, image).add_(w * h).sub_(intersection)
    iou = intersection.div_(union)
    best = torch.zeros_like(x)
    return best.scatter_reduce_(0, image[:, None].expand_as(iou), iou, "amax")


def _shared(
    centre1: Tensor, size1: Tensor, centre2: Tensor, size2: Tensor, image: Tensor
) -> Tensor:
    """Length (T, N) that intervals (B, N) of each box's image share with its own (T, 1).

    It is negative where they are apart.
    """
    half1, half2 = size1 / 2, size2 / 2
    end = (centre1 + half1).index_select(0, image)  # (T, N)
    torch.minimum(end, centre2 + half2, out=end)
    start = (centre1 - half1).index_select(0, image)
    torch.maximum(start, centre2 - half2, out=start)
    return end.sub_(start)


def aligned_iou(boxes1_cxcywh: Tensor, boxes2_cxcywh: Tensor) -> Tensor:
    """Overlap (T,) of boxes (T, 4) and (T, 4), pair by pair."""
    boxes1 = box_convert(boxes1_cxcywh, "cxcywh", "xyxy")
    boxes2 = box_convert(boxes2_cxcywh, "cxcywh", "xyxy")
    left_top = torch.maximum(boxes1[:, :2], boxes2[:, :2])
    right_bottom = torch.minimum(boxes1[:, 2:], boxes2[:, 2:])
    intersection = (right_bottom - left_top).clamp(min=0).prod(dim=1)
    areas = boxes1_cxcywh[:, 2:].prod(dim=1) + boxes2_cxcywh[:, 2:].prod(dim=1)
    return intersection / (areas - intersection)
