"""The loss of YOLOv2, all slots at once.

Letters of the shapes: B images, A anchors, C classes, H W grid cells, T boxes of the batch.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from yolov2.config.train import LossConfig
from yolov2.network.decode import decode_boxes
from yolov2.training.targets import Assignment, aligned_iou, assign, best_iou


@dataclass(frozen=True, kw_only=True)
class Loss:
    """The loss of a batch, float32 scalars; ``total`` carries the gradient.

    The terms are weighted as they enter the total. ``collisions`` counts the boxes that lost
    their slot to another, ``positives`` those that have one; both are tensors, so that nothing
    waits for the device.
    """

    total: Tensor
    coord: Tensor
    objectness: Tensor
    classes: Tensor
    collisions: Tensor
    positives: Tensor


def yolov2_loss(
    raw: Tensor,
    targets: Tensor,
    anchors: Tensor,
    config: LossConfig,
    *,
    normaliser: float | None = None,
) -> Loss:
    """Loss of raw predictions (B, A, H, W, 5+C) against boxes (T, 6).

    ``targets`` is image index, class, cx, cy, w, h as shares of the canvas; ``anchors`` (A, 2) in
    grid cells. With s the sigmoid and sums over slots::

        L = 1/n * ( lambda_coord * sum_P [ (s(tx) - fx)^2 + (s(ty) - fy)^2
                                         + (tw - ln(w/pw))^2 + (th - ln(h/ph))^2 ]
                  + sum_P BCE(to, 1) + lambda_noobj * sum_empty BCE(to, 0)
                  + lambda_class * sum_P sum_C BCE(tc, q) )

    P are the slots that answer for a box (see ``assign``), fx, fy the centre inside its cell.
    Empty are the other slots, less those whose predicted box overlaps any box of the image by
    more than ``ignore_iou``. With ``objectness_target: iou`` the 1 becomes the overlap of the
    predicted box with its box, taken as a constant. q is 1 for the box's class and 0 for the
    others, with label smoothing e ``(1 - e) * onehot + e / C``. n is ``normaliser``, or B where
    that is ``None``: give the images of the whole step where it is made of several batches.
    Constants and terms are those of docs/architecture.md; the paper gives none. Computed in
    float32 whatever the type of ``raw``.
    """
    rows, columns = raw.shape[2:4]
    truth = assign(targets, anchors, batch=len(raw), grid=(rows, columns))
    mine, logits = _Pick.apply(raw, truth.keeper, *truth.place)  # (T, 5+C), (B, A, H, W)
    empty, found = _objectness_goal(raw, targets, anchors, config, truth)  # (B*A*H*W,), (T,)
    kept = truth.kept.to(mine.dtype)  # (T,) 0 takes a box that lost its slot out of the sums
    coord = config.lambda_coord * (_coord_error(mine[:, :4], truth) * kept).sum()
    objectness = binary_cross_entropy_with_logits(mine[:, 4], found, kept, reduction="sum")
    nothing = softplus(logits.flatten()) * empty  # softplus is the BCE of a logit against 0
    objectness = objectness + config.lambda_noobj * nothing.sum()
    goal = _class_goal(truth.class_id, mine.shape[1] - 5, config.label_smoothing)
    classes = config.lambda_class * binary_cross_entropy_with_logits(
        mine[:, 5:], goal, kept[:, None], reduction="sum"
    )
    divisor = len(raw) if normaliser is None else normaliser
    return Loss(
        total=(coord + objectness + classes) / divisor,
        coord=coord.detach() / divisor,
        objectness=objectness.detach() / divisor,
        classes=classes.detach() / divisor,
        collisions=(~truth.kept).sum(),
        positives=truth.kept.sum(),
    )


@torch.no_grad()
def _objectness_goal(
    raw: Tensor, targets: Tensor, anchors: Tensor, config: LossConfig, truth: Assignment
) -> tuple[Tensor, Tensor]:
    """Which slots (B*A*H*W,) are empty, and the objectness (T,) that the boxes' slots should have.

    ``raw`` (B, A, H, W, 5+C), ``targets`` (T, 6) and ``anchors`` (A, 2) are those of the loss.
    """
    boxes_cxcywh_cells = decode_boxes(raw[..., :4].float(), anchors).flatten(1, 3)  # (B, A*H*W, 4)
    overlap = best_iou(boxes_cxcywh_cells, targets, grid=(raw.shape[2], raw.shape[3]))
    empty = (overlap <= config.ignore_iou).flatten().index_fill_(0, truth.slot, False)
    if config.objectness_target == "iou":
        predicted = boxes_cxcywh_cells.flatten(0, 1)[truth.slot]  # (T, 4)
        return empty, aligned_iou(predicted, truth.box_cxcywh_cells)
    return empty, torch.ones(len(targets), device=raw.device)


def _coord_error(mine: Tensor, truth: Assignment) -> Tensor:
    """Sum of the four squared errors (T,) of tx, ty, tw, th (T, 4)."""
    found = torch.cat((mine[:, 0:2].sigmoid(), mine[:, 2:4]), dim=1)
    return (found - torch.cat((truth.offset, truth.log_size), dim=1)).square().sum(dim=1)


def _class_goal(class_id: Tensor, classes: int, smoothing: float) -> Tensor:
    """Targets (T, C) of the class logits, from classes (T,)."""
    share = smoothing / classes
    goal = torch.full((len(class_id), classes), share, device=class_id.device)
    return goal.scatter_(1, class_id[:, None], 1 - smoothing + share)


class _Pick(torch.autograd.Function):
    """What of the raw predictions the loss reads, in float32, whatever their layout in memory.

    Takes ``raw`` (B, A, H, W, 5+C), and ``keeper`` (T,) and the four of ``place`` (T,) from
    ``Assignment``. Gives the boxes' slots (T, 5+C) and all objectness logits (B, A, H, W).
    Indexing would do, but its backward writes a tensor of ``raw``'s size for each of the two and
    adds them; this one writes one. Boxes that share a slot all write the gradient of the one
    that keeps it, so that the order of writing does not matter.
    """

    @staticmethod
    def forward(ctx: Any, raw: Tensor, keeper: Tensor, *place: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(raw, keeper, *place)
        return raw[place].float(), raw[..., 4].float()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, mine: Tensor, logits: Tensor) -> tuple[Tensor | None, ...]:
        raw, keeper, *place = ctx.saved_tensors
        gradient = torch.zeros_like(raw)
        gradient[..., 4] = logits
        # logits has gradient 0 in these slots: they are not empty
        gradient[tuple(place)] = mine[keeper].to(raw.dtype)
        return gradient, None, None, None, None, None
