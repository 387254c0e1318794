"""The loss against an implementation of its formula in plain Python loops, and by hand."""

import math

import pytest
import torch
from torch import Tensor

from yolov2.train_config import LossConfig
from yolov2.training.loss import yolov2_loss
from yolov2.training.targets import assign, best_iou

B, A, H, W, C = 3, 2, 4, 5, 3
ANCHORS = torch.tensor([[1.0, 1.5], [2.5, 2.0]])


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def bce(logit: float, goal: float) -> float:
    p = sigmoid(logit)
    return -(goal * math.log(p) + (1 - goal) * math.log(1 - p))


def overlap(a: list[float], b: list[float]) -> float:
    """IoU of two boxes cx, cy, w, h."""
    wide = min(a[0] + a[2] / 2, b[0] + b[2] / 2) - max(a[0] - a[2] / 2, b[0] - b[2] / 2)
    high = min(a[1] + a[3] / 2, b[1] + b[3] / 2) - max(a[1] - a[3] / 2, b[1] - b[3] / 2)
    shared = max(wide, 0) * max(high, 0)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def loss_in_loops(raw: Tensor, targets: Tensor, config: LossConfig) -> float:
    """The formula of ``yolov2_loss`` read slot by slot, box by box."""
    held: dict[tuple[int, int, int, int], tuple[list[float], int]] = {}
    for image, class_id, cx, cy, w, h in targets.tolist():
        box = [cx * W, cy * H, w * W, h * H]
        fits = [overlap([0, 0, *box[2:]], [0, 0, *anchor]) for anchor in ANCHORS.tolist()]
        slot = (int(image), fits.index(max(fits)), int(box[1]), int(box[0]))
        held[slot] = (box, int(class_id))
    coord = objectness = classes = 0.0
    for b in range(B):
        truths = [[t[2] * W, t[3] * H, t[4] * W, t[5] * H] for t in targets.tolist() if t[0] == b]
        for a in range(A):
            for j in range(H):
                for i in range(W):
                    t = raw[b, a, j, i].tolist()
                    pw, ph = ANCHORS[a].tolist()
                    box = [i + sigmoid(t[0]), j + sigmoid(t[1]), pw * math.exp(t[2])]
                    box.append(ph * math.exp(t[3]))
                    if (b, a, j, i) in held:
                        truth, class_id = held[b, a, j, i]
                        coord += (sigmoid(t[0]) - (truth[0] - i)) ** 2
                        coord += (sigmoid(t[1]) - (truth[1] - j)) ** 2
                        coord += (t[2] - math.log(truth[2] / pw)) ** 2
                        coord += (t[3] - math.log(truth[3] / ph)) ** 2
                        soft = config.objectness_target == "iou"
                        objectness += bce(t[4], overlap(box, truth) if soft else 1.0)
                        classes += sum(bce(t[5 + c], float(c == class_id)) for c in range(C))
                    elif max((overlap(box, t) for t in truths), default=0) <= config.ignore_iou:
                        objectness += config.lambda_noobj * bce(t[4], 0.0)
    return (config.lambda_coord * coord + objectness + config.lambda_class * classes) / B


def random_case(seed: int) -> tuple[Tensor, Tensor]:
    """Raw predictions and 12 boxes, none in image 1; some boxes share a slot."""
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randn(B, A, H, W, 5 + C, generator=generator, dtype=torch.float64)
    targets = torch.rand(12, 6, generator=generator, dtype=torch.float64)
    targets[:, 0] = torch.tensor([0, 2] * 6)
    targets[:, 1] = torch.randint(0, C, (12,), generator=generator)
    targets[:, 4:] = 0.1 + 0.5 * targets[:, 4:]
    targets[-1, 1:5] = targets[1, 1:5]  # image 2 twice: one slot, two boxes
    return raw, targets


@pytest.mark.parametrize("target", ["one", "iou"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_loss_equals_the_formula_read_slot_by_slot(seed: int, target: str) -> None:
    raw, targets = random_case(seed)
    config = LossConfig(
        lambda_coord=3.0, lambda_noobj=0.7, lambda_class=1.3, ignore_iou=0.35,
        objectness_target="iou" if target == "iou" else "one",
    )  # fmt: skip
    found = yolov2_loss(raw.float(), targets.float(), ANCHORS, config)
    assert found.total.item() == pytest.approx(loss_in_loops(raw, targets, config), rel=1e-5)
    parts = found.coord + found.objectness + found.classes
    assert parts.item() == pytest.approx(found.total.item(), rel=1e-6)


def test_one_box_by_hand() -> None:
    """All logits 0, one box in the middle of a cell with the first anchor's size.

    coord 0; objectness ln 2 for the slot and 0.5 ln 2 for each of 119 others that overlap by
    less than 0.6; classes 3 ln 2; all divided by the B = 3 images.
    """
    raw = torch.zeros(B, A, H, W, 5 + C)
    target = torch.tensor([[1, 2, 2.5 / W, 1.5 / H, 1.0 / W, 1.5 / H]])
    found = yolov2_loss(raw, target, ANCHORS, LossConfig())
    ln2 = math.log(2)
    assert found.coord.item() == pytest.approx(0, abs=1e-10)
    assert found.objectness.item() == pytest.approx((1 + 0.5 * (B * A * H * W - 1)) * ln2 / B)
    assert found.classes.item() == pytest.approx(3 * ln2 / B)
    assert found.positives == 1
    assert found.collisions.item() == 0


def test_ignored_slot_costs_nothing_and_the_holder_is_never_ignored() -> None:
    """A neighbour cell predicting the box exactly (overlap 1 > 0.6) is left alone."""
    raw = torch.full((1, 1, 1, 2, 6), 0.0)
    raw[0, 0, 0, 1, 4] = 5.0  # sure of an object in the neighbour cell
    raw[0, 0, 0, 1, 0] = -20.0  # its box starts at the cell's left edge: cx = 1.0
    target = torch.tensor([[0, 0, 0.9999 / 2, 0.5, 4.0 / 2, 4.0]])
    anchors = torch.tensor([[4.0, 4.0]])
    ignored = yolov2_loss(raw, target, anchors, LossConfig(lambda_coord=0, lambda_class=0))
    strict = LossConfig(lambda_coord=0, lambda_class=0, ignore_iou=1.0)
    counted = yolov2_loss(raw, target, anchors, strict)
    assert ignored.total.item() == pytest.approx(math.log(2))
    assert counted.total.item() == pytest.approx(math.log(2) + 0.5 * bce(5.0, 0.0), rel=1e-5)


def test_of_two_boxes_with_one_slot_the_last_stays_and_the_other_is_counted() -> None:
    _, targets = random_case(0)
    same = targets.float()
    given = assign(same, ANCHORS, batch=B, grid=(H, W))
    assert len(given.slot) + int(given.collisions) == len(same)
    assert int(given.collisions) >= 1
    assert len(given.slot.unique()) == len(given.slot)
    last = same[-1, 2:6] * torch.tensor([W, H, W, H])
    assert (given.box_cxcywh_cells == last).all(dim=1).any()


def test_without_boxes_only_the_empty_slots_cost() -> None:
    raw = torch.zeros(B, A, H, W, 5 + C, requires_grad=True)
    found = yolov2_loss(raw, torch.zeros(0, 6), ANCHORS, LossConfig())
    assert found.total.item() == pytest.approx(0.5 * A * H * W * math.log(2), rel=1e-6)
    found.total.backward()
    assert raw.grad is not None
    assert (raw.grad[..., :4] == 0).all()


def test_box_on_the_far_edge_stays_inside_the_grid() -> None:
    target = torch.tensor([[0, 0, 1.0, 1.0, 0.2, 0.2]])
    given = assign(target, ANCHORS, batch=1, grid=(H, W))
    assert given.slot.tolist() == [(H - 1) * W + W - 1]
    assert given.offset.tolist() == [[1.0, 1.0]]


def test_best_iou_is_by_image() -> None:
    boxes = torch.tensor([[[1.0, 1.0, 2.0, 2.0]], [[1.0, 1.0, 2.0, 2.0]]])
    targets = torch.tensor([[1, 0, 0.2, 0.25, 0.4, 0.5], [1, 0, 0.4, 0.5, 0.4, 0.5]])
    found = best_iou(boxes, targets, grid=(H, W))
    torch.testing.assert_close(found, torch.tensor([[0.0], [1.0]]))


def test_gradient_is_that_of_the_formula() -> None:
    """Central differences of the plain loops at a few logits of every kind."""
    raw, targets = random_case(3)
    config = LossConfig(ignore_iou=1.0)
    variable = raw.float().requires_grad_()
    yolov2_loss(variable, targets.float(), ANCHORS, config).total.backward()
    assert variable.grad is not None
    slot = assign(targets.float(), ANCHORS, batch=B, grid=(H, W)).slot[0]
    b, a, j, i = (int(n) for n in torch.unravel_index(slot, (B, A, H, W)))
    for entry in range(5 + C):
        step = torch.zeros_like(raw)
        step[b, a, j, i, entry] = 1e-5
        up, down = (loss_in_loops(raw + s, targets, config) for s in (step, -step))
        expected = (up - down) / 2e-5
        assert variable.grad[b, a, j, i, entry].item() == pytest.approx(expected, rel=1e-3)
