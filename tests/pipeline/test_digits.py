"""Stage ``digits``. The photographs are replaced by plain ones where ink must be told from them."""

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from pipeline import digits
from pipeline.digits import write_data_set
from pipeline.params.digits import DigitsConfig
from pipeline.scenes import splits
from pipeline.scenes.ink import glyph
from pipeline.scenes.scene import Material, compose_scene
from pipeline.scenes.splits import load_material, make_scenes
from tests.pipeline.project import copy_project, run, write_params
from yolov2.config.data import DataConfig

SMALL = {"train_scenes": 9, "val_scenes": 4, "test_scenes": 5}


def files(folder: Path, pattern: str = "**/*") -> dict[str, bytes]:
    found = {p.relative_to(folder).as_posix(): p for p in folder.glob(pattern) if p.is_file()}
    return {name: path.read_bytes() for name, path in found.items()}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "digits"
    write_data_set(folder, DigitsConfig(**SMALL))
    return folder


def plain_material(grey: int) -> Material:
    """All digits, on photographs of one grey value."""
    data = load_digits()
    return Material(
        photographs=[Image.new("RGB", (200, 150), (grey, grey, grey))],
        glyphs=[glyph(cells) for cells in data.images],
        class_ids=data.target.astype(np.int64),
        digits=np.arange(len(data.target)),
    )


def test_the_same_parameters_give_the_same_bytes(written: Path, tmp_path: Path) -> None:
    write_data_set(tmp_path / "again", DigitsConfig(**SMALL))
    assert files(tmp_path / "again") == files(written)
    assert len(files(written)) == 2 * (9 + 4 + 5) + 2


def test_another_seed_gives_other_scenes(written: Path, tmp_path: Path) -> None:
    write_data_set(tmp_path / "other", DigitsConfig(**SMALL, seed=1))
    for name, content in files(written, "images/*/*.jpg").items():
        assert (tmp_path / "other" / name).read_bytes() != content


def test_more_training_scenes_change_no_other_file(written: Path, tmp_path: Path) -> None:
    write_data_set(tmp_path / "more", DigitsConfig(**SMALL | {"train_scenes": 14}))
    before, after = files(written), files(tmp_path / "more")
    added = set(after) - set(before)
    assert sorted(added)[0] == "images/train/00009.jpg"
    assert len(added) == 2 * 5
    assert {name: after[name] for name in before} == before


def test_every_digit_belongs_to_one_split_in_fair_shares() -> None:
    target = load_digits().target
    materials = [load_material(split, seed=3) for split in ("train", "val", "test")]
    dealt = np.concatenate([material.digits for material in materials])
    np.testing.assert_array_equal(np.sort(dealt), np.arange(1797))
    for material, share in zip(materials, (0.7, 0.1, 0.2), strict=True):
        np.testing.assert_array_equal(material.class_ids, target[material.digits])
        expected = np.bincount(target) * share
        np.testing.assert_allclose(np.bincount(material.class_ids), expected, atol=1)


def test_scenes_show_only_digits_of_their_split() -> None:
    config = DigitsConfig(train_scenes=1)
    target = load_digits().target
    seen = {}
    for split in ("train", "val", "test"):
        scenes = list(make_scenes(split, 60, config))
        seen[split] = {int(i) for scene in scenes for i in scene.digits}
        assert seen[split] <= set(load_material(split, config.seed).digits.tolist())
        for scene in scenes:
            np.testing.assert_array_equal(scene.class_ids, target[scene.digits])
    assert not seen["train"] & (seen["val"] | seen["test"])
    assert not seen["val"] & seen["test"]


def test_no_column_of_a_photograph_is_in_two_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = load_sample_images()
    columns = np.arange(640)
    numbered = np.zeros((427, 640, 3), dtype=np.uint8)
    numbered[..., 0], numbered[..., 1] = columns // 256, columns % 256
    samples.images = [numbered, numbered]
    monkeypatch.setattr(splits, "load_sample_images", lambda: samples)
    for index in range(2):
        found: list[int] = []
        for split in ("train", "val", "test"):
            pixels = np.asarray(load_material(split, 0).photographs[index])[0].astype(int)
            found += (pixels[:, 0] * 256 + pixels[:, 1]).tolist()
        assert sorted(found) == columns.tolist()


def luminance(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.asarray(image @ np.array([0.299, 0.587, 0.114]))


@pytest.mark.parametrize("grey", [20, 80])
def test_boxes_are_tight_around_what_was_painted(grey: int) -> None:
    # on a dark plain ground whatever is light is ink; half covered is halfway between the halo
    # and full ink; 2 of some 150 pixels are left for the soft edge of a stroke
    config = DigitsConfig(
        image_size=320, min_size=120, max_size=200, max_objects=1, background_share=0
    )
    material = plain_material(grey)
    for seed in range(12):
        scene = compose_scene(material, config, np.random.default_rng(seed))
        light = luminance(scene.image)
        rows, columns = np.nonzero(light > (light.min() + light.max()) / 2)
        extent = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(scene.boxes_xyxy_pixels[0], extent, atol=2)


@pytest.mark.parametrize("grey", [0, 20, 128, 235, 255])
def test_digits_stand_out_from_any_ground(grey: int) -> None:
    config = DigitsConfig(max_objects=1, background_share=0)
    material = plain_material(grey)
    for seed in range(12):
        scene = compose_scene(material, config, np.random.default_rng(seed))
        left, top, right, bottom = scene.boxes_xyxy_pixels[0]
        inside = luminance(scene.image[top:bottom, left:right])
        assert inside.max() - inside.min() > 90  # of 255: stroke against its halo


def overlap(box1: NDArray[np.int64], box2: NDArray[np.int64], side: int) -> float:
    maps = np.zeros((2, side, side), dtype=bool)
    for covered, (left, top, right, bottom) in zip(maps, (box1, box2), strict=True):
        covered[top:bottom, left:right] = True
    return float((maps[0] & maps[1]).sum() / (maps[0] | maps[1]).sum())


def test_scenes_keep_to_their_parameters() -> None:
    config = DigitsConfig(
        image_size=96, min_objects=2, max_objects=3, min_size=20, max_size=34, rotation=10
    )
    scenes = list(make_scenes("train", 150, config))
    assert {len(scene.class_ids) for scene in scenes} == {0, 2, 3}
    assert 0 < sum(len(scene.class_ids) == 0 for scene in scenes) <= 10  # 2 % of 150: 3
    for scene in scenes:
        assert scene.image.shape == (96, 96, 3)
        boxes = scene.boxes_xyxy_pixels
        assert boxes.size == 0 or (boxes.min() >= 0 and boxes.max() <= 96)
        for i, box in enumerate(boxes):
            assert 20 * 0.7 <= max(box[2:] - box[:2]) <= 34 * 1.2
            assert all(overlap(box, other, 96) <= 0.05 for other in boxes[:i])


def test_classes_are_equally_frequent() -> None:
    scenes = list(make_scenes("train", 300, DigitsConfig()))
    counts = np.bincount(np.concatenate([scene.class_ids for scene in scenes]), minlength=10)
    expected = counts.sum() / 10
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    assert chi_square < 27.9  # 9 degrees of freedom: exceeded once in a thousand


def test_label_files_say_what_the_scenes_say(written: Path) -> None:
    line = re.compile(r"[0-9]( (0|1)\.[0-9]{6}){4}")
    for split, count in (("train", 9), ("val", 4), ("test", 5)):
        for i, scene in enumerate(make_scenes(split, count, DigitsConfig())):
            lines = (written / f"labels/{split}/{i:05d}.txt").read_text().splitlines()
            assert all(line.fullmatch(text) for text in lines)
            values = np.array([text.split() for text in lines], dtype=float).reshape(-1, 5)
            np.testing.assert_array_equal(values[:, 0], scene.class_ids)
            left_top = (values[:, 1:3] - values[:, 3:5] / 2) * 128
            boxes = np.concatenate((left_top, left_top + values[:, 3:5] * 128), axis=1)
            np.testing.assert_allclose(boxes, scene.boxes_xyxy_pixels, atol=2e-4)
            with Image.open(written / f"images/{split}/{i:05d}.jpg") as image:
                difference = np.asarray(image).astype(int) - scene.image
            assert np.abs(difference).mean() < 6


def test_background_scenes_have_an_empty_label_file(tmp_path: Path) -> None:
    write_data_set(tmp_path / "empty", DigitsConfig(**SMALL, background_share=1.0))
    labels = files(tmp_path / "empty", "labels/*/*.txt")
    assert len(labels) == 18
    assert set(labels.values()) == {b""}


def test_the_description_is_read_and_the_photographers_are_named(written: Path) -> None:
    description = pytest.importorskip("yolov2.data.description").read_description(
        written / "digits.yaml"
    )
    assert description.class_names == tuple("0123456789")
    assert description.root == written.resolve()
    assert {split: len(images) for split, images in description.images.items()} == {
        "train": 9,
        "val": 4,
        "test": 5,
    }
    attribution = (written / "README.txt").read_text()
    for expected in ("danielbuechele", "vultilion", "creativecommons.org/licenses/by/2.0"):
        assert expected in attribution


def test_an_earlier_data_set_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    folder = tmp_path / "digits"
    write_data_set(folder, DigitsConfig(**SMALL))
    before = files(folder)
    crowded = DigitsConfig(**SMALL, min_objects=9, max_objects=9, min_size=60, max_size=60)
    message = (
        "digits: no room for 9 digits of 60 to 60 pixels in a scene of 128:"
        " lower digits.min_objects or digits.max_size"
    )
    with pytest.raises(ValueError, match=message):
        write_data_set(folder, crowded)
    assert files(folder) == before
    write_data_set(folder, DigitsConfig(train_scenes=1, val_scenes=1, test_scenes=1))
    assert len(files(folder)) == 2 * 3 + 2
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seed": -1}, "seed must be between 0 and"),
        ({"image_size": 16}, "image_size must be between 32 and 320, not 16"),
        ({"test_scenes": 0}, "test_scenes must be between 1 and 99999, not 0"),
        ({"min_objects": 3, "max_objects": 2}, "max_objects must be between 3 and 100, not 2"),
        ({"max_size": 129}, "max_size must be between 44 and 128, not 129"),
        ({"min_size": 4}, "min_size must be between 8 and 128, not 4"),
        ({"rotation": 91.0}, "rotation must be between 0 and 90, not 91"),
        ({"background_share": 1.5}, "background_share must be between 0 and 1, not 1.5"),
    ],
)
def test_impossible_parameters_are_refused(wrong: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DigitsConfig(**wrong)


def test_the_stage_writes_where_the_pipeline_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "params.yaml").write_text(
        "digits: {train_scenes: 3, val_scenes: 2, test_scenes: 1}\n"
    )
    digits.main()
    assert (tmp_path / "data/digits/images/train/00002.jpg").is_file()
    assert (tmp_path / "data/digits/digits.yaml").is_file()
    assert capsys.readouterr().out == (
        "data/digits: 3 scenes for training, 2 for validation, 1 for the test\n"
    )


OWN = "mine/data.yaml"


@pytest.mark.parametrize(
    ("config", "root", "needed"),
    [
        ("data/digits/digits.yaml", ".", True),
        ("data/extended/data.yaml", "..", True),  # what `pipeline data add` makes of them
        ("both.yaml", "data/digits/images", True),
        (OWN, ".", False),
        ("data/mine/data.yaml", ".", False),
        ("data/mine.yaml", "mine", False),
        ("data/digits-2/data.yaml", ".", False),
        ("../elsewhere/data.yaml", ".", False),
    ],
)
def test_scenes_are_made_for_a_data_set_that_may_hold_them(
    config: str, root: str, needed: bool
) -> None:
    assert digits.wanted_by(DataConfig(config=config, root=root)) is needed


def test_own_data_compose_no_scenes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(f"data: {{config: {OWN}}}\n")
    digits.main()
    assert [path.name for path in (tmp_path / "data/digits").rglob("*")] == ["README.txt"]
    assert (tmp_path / "data/digits/README.txt").read_text() == (
        "No scenes: params.yaml names another data set (data.config).\n"
        "`pipeline params use demo` and `dvc repro` make them, or take them from DVC's"
        " cache.\n"
    )
    assert capsys.readouterr().out == f"data/digits: left empty, the data set is {OWN}\n"


def test_the_stage_knows_of_another_data_set_and_brings_the_scenes_back(tmp_path: Path) -> None:
    scenes = {"digits.train_scenes": 3, "digits.val_scenes": 2, "digits.test_scenes": 1}
    folder = copy_project(tmp_path, scenes)
    pictures = folder / "data/digits/images"
    run(folder, "dvc", "repro", "digits")
    first = sorted(path.read_bytes() for path in pictures.rglob("*.jpg"))
    assert len(first) == 6
    write_params(folder, scenes | {"data.config": OWN})
    assert "left empty" in run(folder, "dvc", "repro", "digits")
    assert not pictures.exists()
    write_params(folder, scenes | {"data.config": "data/extended/data.yaml", "data.root": ".."})
    run(folder, "dvc", "repro", "digits")
    assert sorted(path.read_bytes() for path in pictures.rglob("*.jpg")) == first
    write_params(folder, scenes)
    assert "'digits' is cached - skipping run" in run(folder, "dvc", "repro", "digits")
    assert sorted(path.read_bytes() for path in pictures.rglob("*.jpg")) == first
