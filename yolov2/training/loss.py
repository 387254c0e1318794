"""The loss of YOLOv2, all slots at once.

Letters of the shapes: B images, A anchors, C classes, H W grid cells, T boxes of the batch, P of
them that got a slot.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from yolov2.network.decode import decode_boxes
from yolov2.train_config import LossConfig
from yolov2.training.targets import aligned_iou, assign, best_iou


@dataclass(frozen=True, kw_only=True)
class Loss:
    """The loss of a batch, scalars; ``total`` carries the gradient.

    The terms are weighted as they enter the total. ``collisions`` counts the boxes that lost
    their slot to another, ``positives`` those that have one.
    """

    total: Tensor
    coord: Tensor
    objectness: Tensor
    classes: Tensor
    collisions: Tensor
    positives: int


def yolov2_loss(raw: Tensor, targets: Tensor, anchors: Tensor, config: LossConfig) -> Loss:
    """Loss of raw predictions (B, A, H, W, 5+C) against boxes (T, 6).

    ``targets`` is image index, class, cx, cy, w, h as shares of the canvas; ``anchors`` (A, 2) in
    grid cells. With s the sigmoid and sums over slots::

        L = 1/B * ( lambda_coord * sum_P [ (s(tx) - fx)^2 + (s(ty) - fy)^2
                                         + (tw - ln(w/pw))^2 + (th - ln(h/ph))^2 ]
                  + sum_P BCE(to, 1) + lambda_noobj * sum_empty BCE(to, 0)
                  + lambda_class * sum_P sum_C BCE(tc, onehot) )

    P are the slots that answer for a box (see ``assign``), fx, fy the centre inside its cell.
    Empty are the other slots, less those whose predicted box overlaps any box of the image by
    more than ``ignore_iou``. With ``objectness_target: iou`` the 1 becomes the overlap of the
    predicted box with its box, taken as a constant. Constants and terms are the README's; the
    paper gives none. Computed in float32 whatever the type of ``raw``.
    """
    raw = raw.float()
    batch, _, rows, columns, _ = raw.shape
    grid = (rows, columns)
    truth = assign(targets, anchors, batch=batch, grid=grid)
    with torch.no_grad():
        boxes_cxcywh_cells = decode_boxes(raw, anchors).flatten(1, 3)  # (B, A*H*W, 4)
        empty = best_iou(boxes_cxcywh_cells, targets, grid=grid) <= config.ignore_iou
        empty = empty.flatten()
        empty[truth.slot] = False
    slots = raw.flatten(0, 3)  # (B*A*H*W, 5+C)
    mine = slots[truth.slot]  # (P, 5+C)

    offset_error = (mine[:, 0:2].sigmoid() - truth.offset).square().sum()
    size_error = (mine[:, 2:4] - truth.log_size).square().sum()
    coord = config.lambda_coord * (offset_error + size_error)

    goal = torch.ones_like(mine[:, 4])
    if config.objectness_target == "iou":
        predicted = boxes_cxcywh_cells.flatten(0, 1)[truth.slot]
        goal = aligned_iou(predicted, truth.box_cxcywh_cells)
    found = binary_cross_entropy_with_logits(mine[:, 4], goal, reduction="sum")
    nothing = torch.nn.functional.softplus(slots[:, 4])  # BCE of a logit against 0
    objectness = found + config.lambda_noobj * (nothing * empty).sum()

    onehot = one_hot(truth.class_id, slots.shape[1] - 5).to(mine.dtype)  # (P, C)
    classes = binary_cross_entropy_with_logits(mine[:, 5:], onehot, reduction="sum")
    classes = config.lambda_class * classes

    return Loss(
        total=(coord + objectness + classes) / batch,
        coord=coord.detach() / batch,
        objectness=objectness.detach() / batch,
        classes=classes.detach() / batch,
        collisions=truth.collisions,
        positives=len(truth.slot),
    )
