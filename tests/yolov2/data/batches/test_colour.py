"""Colours against darknet's arithmetic written pixel by pixel, and against torchvision's."""

import colorsys

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from yolov2.config.augment import AugmentConfig
from yolov2.data.batches.colour import (
    Changes,
    apply_changes,
    augment_batch,
    draw_changes,
    stack_changes,
)

S = 17


def colours(seed: int = 0) -> Tensor:
    """An image uint8 (3, S, S) of random colours, grey, black and white among them."""
    image = np.random.default_rng(seed).integers(0, 256, (3, S, S))
    image[:, 0, :3] = [[0, 128, 255]] * 3
    return torch.from_numpy(image.astype(np.uint8))


def darknet(image: Tensor, changes: Changes) -> np.ndarray:
    """``distort_image``: to HSV, hue shifted, S and V scaled, back, cut off: float (3, S, S)."""
    result = np.zeros(image.shape)
    for y, x in np.ndindex(*image.shape[1:]):
        h, s, v = colorsys.rgb_to_hsv(*(image[:, y, x].double() / 255).tolist())
        h = (h + changes.hue) % 1
        s, v = s * changes.saturation, v * changes.exposure
        # colorsys does not restrict S and V either
        result[:, y, x] = colorsys.hsv_to_rgb(h, s, v)
    return np.clip(result, 0, 1) * 255


@pytest.mark.parametrize("exposure", [0.7, 1.0, 1.4])
def test_exposure_is_darknets(exposure: float) -> None:
    changes = Changes(exposure=exposure)
    difference = np.abs(apply_changes(colours(), changes).numpy() - darknet(colours(), changes))
    assert difference.max() <= 0.51  # rounded to whole numbers


@pytest.mark.parametrize("saturation", [0.0, 1 / 1.5, 1.3])
def test_saturation_is_darknets_but_for_the_brightness(saturation: float) -> None:
    image = (60 + colours() // 3).contiguous()  # so that nothing is cut off
    changes = Changes(saturation=saturation)
    found, expected = apply_changes(image.clone(), changes).numpy(), darknet(image, changes)
    values = image.double().numpy()
    brighter = (1 - saturation) * (values.mean(axis=0) - values.max(axis=0))  # (S, S)
    assert np.abs(found - expected - brighter).max() <= 0.51


def chroma(image: Tensor) -> np.ndarray:
    """The difference of the largest and the smallest channel (S, S)."""
    return np.asarray(image.amax(dim=0).int() - image.amin(dim=0).int())


@pytest.mark.parametrize("hue", [-0.5, -0.31, -0.1, 0.04, 0.1, 1 / 6, 0.2, 0.47])
def test_hue_is_darknets_to_a_third_of_the_chroma(hue: float) -> None:
    image, changes = colours(), Changes(hue=hue)
    difference = np.abs(apply_changes(image.clone(), changes).numpy() - darknet(image, changes))
    assert (difference <= chroma(image) / 3 + 0.51).all()
    # what YOLOv2 is trained with
    if abs(hue) <= 0.1:
        assert (difference <= 0.28 * chroma(image) + 0.51).all()


@pytest.mark.parametrize("hue", [1 / 3, -1 / 3])
def test_hue_shifted_by_a_third_is_darknets(hue: float) -> None:
    changes = Changes(hue=hue, exposure=1.2)
    difference = np.abs(apply_changes(colours(), changes).numpy() - darknet(colours(), changes))
    assert difference.max() <= 0.51


def test_hue_turns_red_towards_green() -> None:
    red = torch.tensor([200, 20, 20], dtype=torch.uint8).view(3, 1, 1).contiguous()
    turned = apply_changes(red, Changes(hue=0.1)).flatten().tolist()
    assert turned[0] > turned[1] > 60 > turned[2]


@pytest.mark.parametrize("factor", [0.6, 1.4])
def test_brightness_and_contrast_are_torchvisions(factor: float) -> None:
    image = colours()
    for found, expected in (
        (Changes(brightness=factor), functional.adjust_brightness(image, factor)),
        (Changes(contrast=factor), functional.adjust_contrast(image, factor)),
    ):
        changed = apply_changes(image.clone(), found)
        assert (changed.int() - expected.int()).abs().max() <= 1


def test_no_change_keeps_every_bit() -> None:
    assert torch.equal(apply_changes(colours(), Changes()), colours())


def test_flip_mirrors() -> None:
    row = torch.tensor([1, 2, 3, 4], dtype=torch.uint8).expand(3, 2, 4)
    assert apply_changes(row, Changes(flip=True))[2, 1].tolist() == [4, 3, 2, 1]


MANY = (
    Changes(hue=0.09, saturation=1.4, exposure=0.8, flip=True),
    Changes(),
    Changes(hue=-0.45, brightness=1.3, contrast=0.6),
    Changes(saturation=0.7, exposure=1.5, contrast=1.4, flip=True),
)


def agree_on(device: str) -> None:
    images = torch.stack([colours(seed) for seed in range(4)])  # (4, 3, S, S)
    pairs = zip(images, MANY, strict=True)
    expected = torch.stack([apply_changes(image.clone(), changes) for image, changes in pairs])
    found = augment_batch(images.to(device), stack_changes(MANY)).cpu()
    assert found.dtype == torch.float32
    # half a level, because one of them is rounded to whole numbers
    torch.testing.assert_close(found * 255, expected.float(), rtol=0, atol=0.51)


def test_a_whole_batch_changes_as_each_image_does() -> None:
    agree_on("cpu")


@pytest.mark.gpu
def test_a_whole_batch_changes_on_the_gpu_as_each_image_does() -> None:
    agree_on("cuda")


def test_large_images_are_changed_in_parts() -> None:
    image = torch.arange(256, dtype=torch.uint8).repeat(3, 300, 1)  # (3, 300, 256)
    changed = apply_changes(image.clone(), Changes(exposure=0.5))
    assert torch.equal(changed, ((image.float() / 2) + 0.5).to(torch.uint8))


def test_changes_are_drawn_within_their_ranges() -> None:
    config = AugmentConfig(hue=0.1, saturation=1.5, exposure=2.0, brightness=0.2, contrast=0.3)
    rng = np.random.default_rng(0)
    rows = stack_changes([draw_changes(config, rng) for _ in range(2000)]).numpy()
    limits = [(-0.1, 0.1), (1 / 1.5, 1.5), (0.5, 2.0), (0.8, 1.2), (0.7, 1.3), (0, 1)]
    for column, (low, high) in zip(rows.T, limits, strict=True):
        assert low <= column.min() < column.max() <= high + 1e-6
        assert column.min() - low < 0.01 > high - column.max()
    # darknet's coin: as many below 1 as above
    assert 0.47 < (rows[:, 1] < 1).mean() < 0.53
    assert 0.47 < rows[:, 5].mean() < 0.53


def test_without_ranges_nothing_is_drawn() -> None:
    config = AugmentConfig(hue=0.0, saturation=1.0, exposure=1.0, flip=0.0)
    rng = np.random.default_rng(0)
    assert all(draw_changes(config, rng) == Changes() for _ in range(20))
