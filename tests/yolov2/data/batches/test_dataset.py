"""Items and batches: as drawn, as often as drawn, wherever they are read."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tables import make_tables
from yolov2.config.augment import NO_CHANGES, AugmentConfig
from yolov2.data.batches.colour import augment_batch
from yolov2.data.batches.dataset import DetectionDataset, Item, collate
from yolov2.data.batches.draw import Draw
from yolov2.data.batches.loader import load_batches
from yolov2.data.images.cache import CacheKind
from yolov2.data.table import LabelTables

S = 64
BOXES = [(0, 5, 4, 30, 20), (1, 20, 10, 44, 30)]
ROWS = [("train", 48, 32, BOXES), ("train", 30, 50, BOXES[:1]), ("train", 64, 64, []),
        ("val", 33, 21, BOXES[:1]), ("train", 90, 41, BOXES)]  # fmt: skip
EVERYTHING = AugmentConfig(
    mosaic=0.5, mixup=0.5, scale=(0.5, 1.5), brightness=0.2, contrast=0.2, min_visible=0.2
)


@pytest.fixture
def tables(tmp_path: Path) -> LabelTables:
    """Four training images, real JPEG files under the table's names, one of them grey."""
    tables = make_tables(ROWS, ["cat", "dog"])
    for row in tables.images.itertuples():
        rng = np.random.default_rng(row.width)
        coarse = rng.integers(0, 256, (4, 5, 3)).astype(np.uint8)
        image = Image.fromarray(coarse).resize((row.width, row.height))
        stream = BytesIO()
        (image.convert("L") if row.image_id == 1 else image).save(stream, "JPEG")
        (tmp_path / row.image).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / row.image).write_bytes(stream.getvalue())
    return tables


def dataset(
    tables: LabelTables,
    root: Path,
    augment: AugmentConfig | None = None,
    *,
    seed: int = 0,
    cache: CacheKind = "none",
) -> DetectionDataset:
    return DetectionDataset(
        tables, root, "train", S, augment=augment, seed=seed, cache=cache,
        cache_folder=root / "cache",
    )  # fmt: skip


def draw(position: int, *, epoch: int = 0, side: int = S) -> Draw:
    partners = ((position + 1) % 4, (position + 2) % 4, (position + 3) % 4, (position + 1) % 4)
    return Draw(epoch, position, partners, side, closing=False)


DRAWS = tuple(draw(position, epoch=epoch) for epoch in range(4) for position in range(4))


def same(first: Item, second: Item) -> bool:
    return torch.equal(first.image, second.image) and torch.equal(first.targets, second.targets)


@pytest.mark.parametrize("augment", [None, NO_CHANGES])
def test_without_changes_a_drawn_image_is_the_letterboxed_one(
    tables: LabelTables, tmp_path: Path, augment: AugmentConfig | None
) -> None:
    images = dataset(tables, tmp_path, augment)
    for position in range(4):
        drawn = images[draw(position)]
        assert same(drawn, images[position])
        assert drawn.image.is_contiguous()
        assert drawn.changes == images[position].changes
    assert images[draw(3, side=96)].image.shape == (3, 96, 96)


def test_real_images_without_changes(bccd: Path) -> None:
    names = sorted(path.name for path in (bccd / "images" / "train").iterdir())[:3]
    tables = make_tables([("train", 640, 480, [(0, 9, 8, 70, 60)])] * 3, ["RBC"])
    tables.images["image"] = [f"images/train/{name}" for name in names]
    images = DetectionDataset(tables, bccd, "train", 96, augment=NO_CHANGES)
    for position in range(3):
        found = images[Draw(5, position, (0, 0, 0, 0), 96, closing=True)]
        assert same(found, images[position])


def test_letterboxed_boxes_by_hand(tables: LabelTables, tmp_path: Path) -> None:
    item = dataset(tables, tmp_path)[0]
    # 48x32 on 64: 4/3 as large, 10 rows of grey above (42 rows of image)
    assert (item.letterbox.new_width, item.letterbox.new_height) == (64, 42)
    expected = [0, 17.5 / 48, (12 / 32 * 42 + 11) / 64, 25 / 48, 16 / 32 * 42 / 64]
    assert item.targets[0].tolist() == pytest.approx(expected)
    assert (item.image[:, :11] == 127).all()


def test_the_same_draw_gives_the_same_bytes(tables: LabelTables, tmp_path: Path) -> None:
    first, second = (dataset(tables, tmp_path, EVERYTHING, seed=3) for _ in range(2))
    # in another order, and read before
    expected = [first[drawn] for drawn in DRAWS]
    found = [second[drawn] for drawn in DRAWS[::-1]][::-1]
    assert all(map(same, expected, found))


def test_seed_epoch_and_image_decide(tables: LabelTables, tmp_path: Path) -> None:
    images = dataset(tables, tmp_path, EVERYTHING, seed=3)
    item = images[draw(0, epoch=1)]
    assert not same(item, images[draw(0, epoch=2)])
    assert not same(item, dataset(tables, tmp_path, EVERYTHING, seed=4)[draw(0, epoch=1)])


@pytest.mark.parametrize("cache", ["none", "ram", "disk"])
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_do_not_depend_on_cache_and_workers(
    tables: LabelTables, tmp_path: Path, cache: CacheKind, workers: int
) -> None:
    expected = [dataset(tables, tmp_path, EVERYTHING)[drawn] for drawn in DRAWS]
    images = dataset(tables, tmp_path, EVERYTHING, cache=cache)
    split = [DRAWS[:3], DRAWS[3:4], DRAWS[4:9], DRAWS[9:]]
    batches = list(load_batches(images, split, num_workers=workers, pin_memory=False))
    assert torch.equal(
        torch.cat([batch.images for batch in batches]), torch.stack([i.image for i in expected])
    )
    assert torch.equal(
        torch.cat([batch.targets[:, 1:] for batch in batches]),
        torch.cat([item.targets for item in expected]),
    )
    # a second epoch, from what is kept now
    again = list(load_batches(images, split, num_workers=workers, pin_memory=False))
    assert all(torch.equal(a.images, b.images) for a, b in zip(batches, again, strict=True))


def test_changes_left_to_the_device_are_those_of_the_workers(
    tables: LabelTables, tmp_path: Path
) -> None:
    here = dataset(tables, tmp_path, EVERYTHING)
    there = dataset(tables, tmp_path, replace(EVERYTHING, augment_on="device"))
    done = collate([here[drawn] for drawn in DRAWS])
    left = collate([there[drawn] for drawn in DRAWS])
    assert torch.equal(left.targets, done.targets)
    found = augment_batch(left.images, left.changes) * 255
    torch.testing.assert_close(found, done.images.float(), rtol=0, atol=0.51)
    assert not torch.equal(left.images, done.images)
    nothing = augment_batch(done.images, done.changes)
    torch.testing.assert_close(nothing, done.images / 255, rtol=0, atol=1e-6)


def test_a_batch_counts_its_images(tables: LabelTables, tmp_path: Path) -> None:
    images = dataset(tables, tmp_path)
    batch = collate([images[0], images[2], images[3]])
    assert batch.images.shape == (3, 3, S, S)
    assert batch.targets[:, 0].tolist() == [0, 0, 2, 2]
    assert batch.targets[:, 1].tolist() == [0, 1, 0, 1]
    assert batch.image_ids == [0, 2, 4]
    assert batch.changes.shape == (3, 6)


def test_a_split_without_images_is_an_error(tables: LabelTables, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no images in split 'test' \(it has: train, val\)"):
        DetectionDataset(tables, tmp_path, "test", S)


def test_a_broken_image_is_named_wherever_it_is_read(tables: LabelTables, tmp_path: Path) -> None:
    path = tmp_path / tables.images["image"][1]
    path.write_bytes(path.read_bytes()[:200])
    for workers in (0, 1):
        batches = load_batches(
            dataset(tables, tmp_path, EVERYTHING), [DRAWS], num_workers=workers, pin_memory=False
        )
        with pytest.raises(ValueError, match="0001.png: cannot be decoded"):
            list(batches)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("hue", 0.6, "hue must be between 0 and 0.5, not 0.6"),
        ("saturation", 0.9, "saturation must be between 1 and 100, not 0.9"),
        ("mosaic", 1.1, "mosaic must be between 0 and 1, not 1.1"),
        ("scale", (1.0,), r"scale must be two factors .* not \[1.0\]"),
        ("scale", (2.0, 1.0), r"the lower first, not \[2.0, 1.0\]"),
        ("jitter", 1.0, "jitter must be between 0 and 0.9, not 1"),
    ],
)
def test_impossible_changes_are_refused(field: str, value: object, text: str) -> None:
    values: dict[str, object] = {field: value}
    with pytest.raises(ValueError, match=text):
        AugmentConfig(**values)  # type: ignore[arg-type]
