"""The sheet shows what is trained on, and ``yolov2 preview`` writes it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.datasets import picture, write_dataset
from tests.yolov2.scenes import squares
from yolov2 import cli
from yolov2.config.augment import NO_CHANGES, AugmentConfig
from yolov2.data.batches.dataset import DetectionDataset
from yolov2.detection.contact_sheet import contact_sheet, sample_draws
from yolov2.detection.draw import class_colour

S = 96


def dataset(root: Path, augment: AugmentConfig = NO_CHANGES) -> DetectionDataset:
    return DetectionDataset(squares(root, train=7, size=48), root, "train", S, augment=augment)


def test_draws_are_different_images_combined_with_any_others(tmp_path: Path) -> None:
    images = dataset(tmp_path)
    draws = sample_draws(images, images=4, side=S, seed=1, epoch=2)
    assert len({draw.position for draw in draws}) == 4
    assert not any(draw.position in draw.partners for draw in draws)
    alone = [sample_draws(images, images=1, side=S, seed=seed, epoch=0)[0] for seed in range(9)]
    assert len({partner for draw in alone for partner in draw.partners}) == 7
    assert {(draw.epoch, draw.side, draw.closing) for draw in draws} == {(2, S, False)}
    assert draws == sample_draws(images, images=4, side=S, seed=1, epoch=2)
    assert draws != sample_draws(images, images=4, side=S, seed=1, epoch=3)
    assert len(sample_draws(images, images=99, side=S, seed=1, epoch=2)) == 7


def test_boxes_are_drawn_on_the_objects(tmp_path: Path) -> None:
    images = dataset(tmp_path)
    draws = sample_draws(images, images=5, side=S, seed=0, epoch=0)
    sheet = np.asarray(contact_sheet(images, draws))
    assert sheet.shape == (2 * S + 4, 3 * S + 8, 3)
    assert (sheet[:, S : S + 4] == 255).all()
    for index, draw in enumerate(draws):
        top, left = index // 3 * (S + 4), index % 3 * (S + 4)
        shown = sheet[top : top + S, left : left + S]
        class_id, cx, cy, w, h = images[draw].targets[0].tolist()
        colour = class_colour(int(class_id))
        right, bottom = round((cx + w / 2) * S) - 1, round((cy + h / 2) * S) - 1
        corner = shown[bottom - 1 : bottom + 2, right - 1 : right + 2]
        assert (corner == colour).all(axis=2).any()
        assert not (shown[bottom + 2 :] == colour).all(axis=2).any()
        assert not (shown[:, right + 2 :] == colour).all(axis=2).any()


def test_changes_of_the_device_are_shown(tmp_path: Path) -> None:
    sheets = []
    for place in ("cpu", "device"):
        images = dataset(tmp_path, AugmentConfig(augment_on=place))
        draws = sample_draws(images, images=2, side=S, seed=0, epoch=0)
        sheets.append(np.asarray(contact_sheet(images, draws)).astype(int))
    assert np.abs(sheets[0] - sheets[1]).max() <= 1


def test_no_draws_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a contact sheet needs at least one image"):
        contact_sheet(dataset(tmp_path), [])


def test_preview_writes_a_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label = "0 0.5 0.5 0.4 0.4\n"
    labels = {name: label for name in "abcde"}
    data = write_dataset(tmp_path, {"train": labels}, images={"train/c.jpg": picture(40, 60)})
    output = tmp_path / "pictures" / "sheet.png"
    options = ["--images", "3", "--image-size", "64", "--mosaic", "1", "--scale", "0.5", "1.5"]
    assert cli.main(["preview", "--data", str(data), "--output", str(output), *options]) == 0
    assert capsys.readouterr().out == f"3 images: {output}\n"
    with Image.open(output) as sheet:
        assert sheet.size == (2 * 64 + 4, 2 * 64 + 4)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--output", "a.gif"], "--output must end in one of .png, .jpg, .jpeg, .webp"),
        (["--images", "0"], "--images must be at least 1, not 0"),
        (["--scale", "2", "1"], "scale must be two factors from 0.05 to 20"),
    ],
)
def test_preview_refuses(options: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["preview", *options]) == 2
    assert text in capsys.readouterr().err
