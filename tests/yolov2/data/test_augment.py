"""Augmentation by hand: what flips, what stays, what repeats."""

import torch

from yolov2.data.augment import augment_image
from yolov2.train_config import AugmentConfig

IMAGE = torch.arange(2 * 3, dtype=torch.uint8).view(1, 2, 3).repeat(3, 1, 1) * 40
TARGETS = torch.tensor([[1.0, 0.2, 0.6, 0.1, 0.3]])


def test_flip_mirrors_pixels_and_centres() -> None:
    config = AugmentConfig(brightness=0.0, contrast=0.0, flip=1.0)
    image, targets = augment_image(IMAGE, TARGETS, config, seed=3)
    assert image[0].tolist() == [[80, 40, 0], [200, 160, 120]]
    torch.testing.assert_close(targets, torch.tensor([[1.0, 0.8, 0.6, 0.1, 0.3]]))
    assert TARGETS[0, 1] == 0.2  # the table's row is not touched


def test_without_changes_it_is_the_image() -> None:
    config = AugmentConfig(brightness=0.0, contrast=0.0, flip=0.0)
    image, targets = augment_image(IMAGE, TARGETS, config, seed=3)
    assert torch.equal(image, IMAGE)
    assert torch.equal(targets, TARGETS)


def test_the_seed_decides() -> None:
    config = AugmentConfig(brightness=0.5, contrast=0.5, flip=0.5)
    first, again, other = (augment_image(IMAGE, TARGETS, config, seed=s)[0] for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
