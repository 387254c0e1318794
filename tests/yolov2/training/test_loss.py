"""The loss against an implementation of its formula in plain Python loops, and by hand."""

import math

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from yolov2.config.train import LossConfig
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
    found = yolov2_loss(torch.zeros(B, A, H, W, 5 + C), same, ANCHORS, LossConfig())
    kept = given.slot[given.kept]
    assert int(found.positives) == len(kept)
    assert int(found.collisions) == len(same) - len(kept) >= 1
    assert len(kept.unique()) == len(kept) == len(given.slot.unique())
    assert given.kept[-1]
    assert not given.kept[1]
    assert given.keeper[1] == given.keeper[-1] == len(same) - 1
    assert torch.equal(given.slot[given.keeper], given.slot)


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


@pytest.mark.parametrize("box", [0, 1])
def test_gradient_is_that_of_the_formula(box: int) -> None:
    """Central differences of the plain loops at a few logits of every kind.

    Box 1 loses its slot to the last one, which its gradient must not add to.
    """
    raw, targets = random_case(3)
    config = LossConfig(ignore_iou=1.0)
    variable = raw.float().requires_grad_()
    yolov2_loss(variable, targets.float(), ANCHORS, config).total.backward()
    assert variable.grad is not None
    slots = assign(targets.float(), ANCHORS, batch=B, grid=(H, W)).slot
    b, a, j, i = (int(n) for n in torch.unravel_index(slots[box], (B, A, H, W)))
    for entry in range(5 + C):
        step = torch.zeros_like(raw)
        step[b, a, j, i, entry] = 1e-5
        up, down = (loss_in_loops(raw + s, targets, config) for s in (step, -step))
        expected = (up - down) / 2e-5
        assert variable.grad[b, a, j, i, entry].item() == pytest.approx(expected, rel=1e-3)


def test_gradient_of_an_empty_slot_is_that_of_its_objectness_alone() -> None:
    """d/dx 0.5 softplus(x) / B = 0.5 sigmoid(x) / B."""
    raw = torch.full((B, A, H, W, 5 + C), 0.5).requires_grad_()
    yolov2_loss(raw, torch.zeros(0, 6), ANCHORS, LossConfig()).total.backward()
    assert raw.grad is not None
    expected = torch.zeros(B, A, H, W, 5 + C)
    expected[..., 4] = 0.5 * sigmoid(0.5) / B
    torch.testing.assert_close(raw.grad, expected)


def test_smoothed_classes_by_hand() -> None:
    """Class 2 of 3, smoothing 0.3: targets 0.1, 0.1 and 0.7 + 0.1 = 0.8.

    BCE of logits 0, 0, 2 is ln 2 + ln 2 + softplus(2) - 0.8 * 2 = 1.9132224.
    """
    raw = torch.zeros(1, A, H, W, 5 + C)
    raw[0, 0, 1, 2, 5:] = torch.tensor([0.0, 0.0, 2.0])
    target = torch.tensor([[0, 2, 2.5 / W, 1.5 / H, 1.0 / W, 1.5 / H]])
    found = yolov2_loss(raw, target, ANCHORS, LossConfig(label_smoothing=0.3))
    assert found.classes.item() == pytest.approx(1.9132224, rel=1e-6)
    even = yolov2_loss(raw, target, ANCHORS, LossConfig(label_smoothing=1.0))
    assert even.classes.item() == pytest.approx(2 * math.log(2) + 2.126928 - 2 / 3, rel=1e-6)


def test_batches_of_a_step_add_up_to_the_step() -> None:
    """Divided by the images of the whole step, the losses of its parts are its loss."""
    raw, targets = (tensor.float() for tensor in random_case(4))
    whole = yolov2_loss(raw, targets, ANCHORS, LossConfig())
    first = targets[targets[:, 0] == 0]
    rest = targets[targets[:, 0] > 0] - torch.tensor([1.0, 0, 0, 0, 0, 0])
    parts = [
        yolov2_loss(some, boxes, ANCHORS, LossConfig(), normaliser=B)
        for some, boxes in ((raw[:1], first), (raw[1:], rest))
    ]
    for term in ("total", "coord", "objectness", "classes"):
        added = sum(getattr(part, term).item() for part in parts)
        assert added == pytest.approx(getattr(whole, term).item(), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_terms_are_float32_whatever_the_type_of_the_predictions(dtype: torch.dtype) -> None:
    raw, targets = random_case(5)
    half = raw.to(dtype).requires_grad_()
    single = raw.to(dtype).float().requires_grad_()
    found = yolov2_loss(half, targets.float(), ANCHORS, LossConfig())
    expected = yolov2_loss(single, targets.float(), ANCHORS, LossConfig())
    for term in ("total", "coord", "objectness", "classes"):
        assert getattr(found, term).dtype == torch.float32
        assert torch.equal(getattr(found, term), getattr(expected, term))
    found.total.backward()
    expected.total.backward()
    assert half.grad is not None
    assert single.grad is not None
    assert torch.equal(half.grad, single.grad.to(dtype))


def test_memory_layout_of_the_predictions_makes_no_difference() -> None:
    """The network gives a view of (B, H, W, A, 5+C); the gradient comes back in that layout."""
    raw, targets = (tensor.float() for tensor in random_case(6))
    plain = raw.clone().requires_grad_()
    view = raw.permute(0, 2, 3, 1, 4).contiguous().permute(0, 3, 1, 2, 4).requires_grad_()
    losses = [yolov2_loss(x, targets, ANCHORS, LossConfig()).total for x in (plain, view)]
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-6)
    for loss in losses:
        loss.backward()
    assert plain.grad is not None
    assert view.grad is not None
    assert view.grad.stride() == view.stride()
    torch.testing.assert_close(view.grad, plain.grad)


@pytest.mark.parametrize("target", ["one", "iou"])
def test_nothing_waits_for_the_device(target: str) -> None:
    """Fake tensors have no values: a shape, branch or number that needs one is an error."""
    raw, targets = random_case(7)
    config = LossConfig(objectness_target="iou" if target == "iou" else "one")
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = mode.from_tensor(raw.float()).requires_grad_()
        boxes, anchors = mode.from_tensor(targets.float()), mode.from_tensor(ANCHORS)
        yolov2_loss(fake, boxes, anchors, config).total.backward()
    assert fake.grad is not None
    assert fake.grad.shape == raw.shape


@pytest.mark.gpu
def test_nothing_waits_for_the_card() -> None:
    raw, targets = (tensor.float().cuda() for tensor in random_case(7))
    raw.requires_grad_()
    anchors = ANCHORS.cuda()
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yolov2_loss(raw, targets, anchors, LossConfig()).total.backward()
    finally:
        torch.cuda.set_sync_debug_mode(before)
    expected = yolov2_loss(raw.cpu(), targets.cpu(), ANCHORS, LossConfig()).total
    assert yolov2_loss(raw, targets, anchors, LossConfig()).total.item() == pytest.approx(
        expected.item(), rel=1e-5
    )
