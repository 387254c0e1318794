"""Boxes stay on what they enclose, whatever is done to the image."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from yolov2.config.augment import NO_CHANGES, AugmentConfig
from yolov2.data.batches.augment import Labelled, compose
from yolov2.data.batches.colour import apply_changes
from yolov2.data.batches.draw import Draw

SIDE = 160
SIZES = [(120, 90), (64, 100), (200, 150), (80, 80), (150, 110)]  # width, height
DRAW = Draw(epoch=0, position=0, partners=(1, 2, 3, 4), side=SIDE, closing=False)


def marked(position: int) -> Labelled:
    """A dark image with two bright rectangles: red ones, or green ones in the last image."""
    width, height = SIZES[position]
    rng = np.random.default_rng(position)
    pixels = rng.integers(0, 30, (height, width, 3)).astype(np.uint8)
    boxes = []
    for half in (0, 1):
        left, right = np.sort(rng.choice(width // 2 - 12, 2)) + half * (width // 2)
        top, bottom = np.sort(rng.choice(height - 12, 2))
        right, bottom = right + 12, bottom + 12
        channel = int(position == 4)
        pixels[top:bottom, left:right, channel] = 255
        centre = ((left + right) / 2 / width, (top + bottom) / 2 / height)
        boxes.append([channel, *centre, (right - left) / width, (bottom - top) / height])
    return pixels, np.array(boxes)


def disagreement(image: np.ndarray, targets: np.ndarray, class_id: int, threshold: int) -> int:
    """Pixels that are bright outside every box or dark inside one, edges of 1.5 pixels apart."""
    # blue is dark where either rectangle is, and as bright as the others in the grey beside
    bright = image[class_id] - image[2] > threshold
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    inside, near = np.zeros((2, SIDE, SIDE), dtype=bool)
    for cx, cy, w, h in targets[targets[:, 0] == class_id, 1:] * SIDE:
        dx, dy = np.abs(x - cx) - w / 2, np.abs(y - cy) - h / 2
        inside |= (dx < -1.5) & (dy < -1.5)
        near |= (dx < 1.5) & (dy < 1.5)
    return int((inside & ~bright).sum() + (bright & ~near).sum())


PLAIN = replace(NO_CHANGES, min_visible=0.0)
CHANGES = {
    "nothing": PLAIN,
    "flip": replace(PLAIN, flip=1.0),
    "jitter": replace(PLAIN, jitter=0.3),
    "translate": replace(PLAIN, translate=1.0),
    "larger": replace(PLAIN, scale=(1.2, 2.0), translate=1.0),
    "smaller": replace(PLAIN, scale=(0.4, 0.9), translate=1.0, flip=0.5),
    "mosaic": replace(PLAIN, mosaic=1.0),
    "mosaic of changed images": AugmentConfig(
        mosaic=1.0, scale=(0.4, 1.6), min_visible=0.0, hue=0.0, exposure=1.2
    ),
    "mixup": replace(PLAIN, mixup=1.0, jitter=0.2, translate=1.0, flip=0.5),
    "mosaic and mixup": replace(
        PLAIN, mosaic=1.0, mixup=1.0, jitter=0.3, scale=(0.5, 1.5), translate=1.0, flip=0.5
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_boxes_lie_on_the_rectangles(name: str) -> None:
    config = CHANGES[name]
    seen = 0
    for seed in range(12):
        canvas, targets, changes = compose(marked, DRAW, config, np.random.default_rng(seed))
        image = apply_changes(canvas, changes).int().numpy()
        threshold = 50 if config.mixup else 110
        assert disagreement(image, targets, 0, threshold) <= 4, seed
        assert disagreement(image, targets, 1, threshold) <= 4, seed
        seen += len(targets)
    assert seen >= 12


def test_a_wrong_box_would_be_noticed() -> None:
    canvas, targets, _ = compose(marked, DRAW, PLAIN, np.random.default_rng(0))
    assert disagreement(canvas.int().numpy(), targets, 0, 110) == 0
    targets[:, 1] += 4 / SIDE
    assert disagreement(canvas.int().numpy(), targets, 0, 110) > 20


def test_boxes_of_a_mosaic_come_from_four_images() -> None:
    config = replace(PLAIN, mosaic=1.0, scale=(0.15, 0.15))
    _, targets, _ = compose(marked, DRAW, config, np.random.default_rng(1))
    assert targets[:, 0].tolist() == [0] * 8
    _, more, _ = compose(marked, DRAW, replace(config, mixup=1.0), np.random.default_rng(1))
    assert more[:, 0].tolist() == [0] * 8 + [1] * 2


def test_the_last_epochs_show_single_images() -> None:
    config = replace(PLAIN, mosaic=1.0, mixup=1.0)
    canvas, targets, _ = compose(
        marked, DRAW._replace(closing=True), config, np.random.default_rng(1)
    )
    plain, boxes, _ = compose(marked, DRAW, PLAIN, np.random.default_rng(1))
    assert torch.equal(canvas, plain)
    assert targets.tolist() == boxes.tolist()


def test_mixup_weighs_both_images() -> None:
    def flat(position: int) -> Labelled:
        value = 200 if position else 100
        return np.full((SIDE, SIDE, 3), value, dtype=np.uint8), np.zeros((0, 5))

    def means(alpha: float) -> np.ndarray:
        config = replace(NO_CHANGES, mixup=1.0, mixup_alpha=alpha)
        rngs = map(np.random.default_rng, range(200))
        canvases = [compose(flat, DRAW, config, rng)[0] for rng in rngs]
        assert all((canvas == canvas[0, 0, 0]).all() for canvas in canvases)
        return np.array([int(canvas[0, 0, 0]) for canvas in canvases])

    # the standard deviation of Beta(a, a) is 1 / sqrt(4 (2a + 1))
    assert means(32.0).mean() == pytest.approx(150, abs=2)
    assert means(32.0).std() == pytest.approx(6.2, abs=1)
    assert means(1.0).std() == pytest.approx(28.9, abs=3)


def test_probabilities_hold() -> None:
    config = replace(NO_CHANGES, mosaic=0.3, mixup=0.6)
    reads: list[int] = []

    def read(position: int) -> Labelled:
        reads.append(position)
        return marked(position)

    rng = np.random.default_rng(0)
    for _ in range(400):
        compose(read, DRAW, config, rng)
    assert reads.count(1) / 400 == pytest.approx(0.3, abs=0.07)
    assert reads.count(4) / 400 == pytest.approx(0.6, abs=0.07)
