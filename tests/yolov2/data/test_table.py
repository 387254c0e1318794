import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.datasets import picture, write_dataset
from yolov2.config.data import ValidateConfig
from yolov2.data.description import read_description
from yolov2.data.labels.checks import load_tables
from yolov2.data.table import (
    DATASET_FILE,
    IMAGES_FILE,
    IMAGES_SCHEMA,
    LABELS_FILE,
    LABELS_SCHEMA,
    LabelTables,
    describe,
    digest,
)

FILES = (IMAGES_FILE, LABELS_FILE, DATASET_FILE)
LABELS = {
    "val": {"a": "0 0.5 0.5 0.25 0.5\n"},
    "train": {"b": "2 0.25 0.75 0.125 0.0625\n\n1 0.5 0.5 1 1\n", "a": None},
}


def make(root: Path) -> LabelTables:
    file = write_dataset(root, LABELS, images={"train/b.jpg": picture(64, 16)})
    return load(file)


def load(file: Path) -> LabelTables:
    tables, problems = load_tables(read_description(file), ValidateConfig())
    assert not problems
    return tables


def test_columns_and_values_by_hand(tmp_path: Path) -> None:
    tables = make(tmp_path)
    wide, plain = (hashlib.md5(picture(*size)).hexdigest() for size in ((64, 16), (48, 32)))
    assert tables.images.to_dict("records") == [
        {
            "split": split,
            "image_id": image_id,
            "image": image,
            "width": width,
            "height": height,
            "objects": objects,
            "md5": md5,
        }
        for split, image_id, image, width, height, objects, md5 in [
            ("train", 0, "images/train/a.jpg", 48, 32, 0, plain),
            ("train", 1, "images/train/b.jpg", 64, 16, 2, wide),
            ("val", 2, "images/val/a.jpg", 48, 32, 1, plain),
        ]
    ]
    assert tables.labels.iloc[0].to_dict() == {
        "split": "train",
        "image_id": 1,
        "image": "images/train/b.jpg",
        "image_width": 64,
        "image_height": 16,
        "class_id": 2,
        "class_name": "owl",
        "cx": 0.25,
        "cy": 0.75,
        "w": 0.125,
        "h": 0.0625,
        "pixel_width": 8.0,  # 0.125 * 64
        "pixel_height": 1.0,  # 0.0625 * 16
        "file": "labels/train/b.txt",
        "line": 1,
    }
    assert tables.labels[["image_id", "line", "class_name"]].to_numpy().tolist() == [
        *([1, 1, "owl"], [1, 3, "dog"], [2, 1, "cat"])
    ]
    assert tables.splits == ("train", "val")


def test_files_have_the_documented_types(tmp_path: Path) -> None:
    make(tmp_path / "data").write(tmp_path / "out")
    for name, schema in ((IMAGES_FILE, IMAGES_SCHEMA), (LABELS_FILE, LABELS_SCHEMA)):
        written = pq.read_schema(tmp_path / "out" / name)
        assert written.equals(schema)
        assert written.metadata is None
    content = json.loads((tmp_path / "out" / DATASET_FILE).read_text())
    assert content["class_names"] == ["cat", "dog", "owl"]
    assert content["splits"]["train"] == {
        "images": 2,
        "images_without_objects": 1,
        "boxes": 2,
        "boxes_by_class": {"cat": 0, "dog": 1, "owl": 1},
    }
    assert list(content["digest"]) == ["train", "val", "all"]


@pytest.mark.parametrize("objects", [True, False])
def test_what_is_read_is_what_was_written(tmp_path: Path, objects: bool) -> None:
    tables = make(tmp_path)
    if not objects:
        images = tables.images.assign(objects=tables.images["objects"] * 0)
        tables = replace(tables, images=images, labels=tables.labels[:0])
    tables.write(tmp_path / "out")
    again = LabelTables.read(tmp_path / "out")
    pd.testing.assert_frame_equal(again.images, tables.images)
    pd.testing.assert_frame_equal(again.labels, tables.labels)
    assert again.class_names == tables.class_names
    assert digest(again) == digest(tables)


def test_moved_data_set_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "here").write(tmp_path / "first")
    (tmp_path / "far/away").mkdir(parents=True)
    shutil.move(tmp_path / "here", tmp_path / "far/away/images")
    monkeypatch.chdir(tmp_path / "far")
    tables = load(Path("away/images/data.yaml"))
    tables.write(tmp_path / "second")
    for name in FILES:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_digest_is_that_of_the_content(tmp_path: Path) -> None:
    before = digest(make(tmp_path))
    assert set(before) == {"train", "val", "all"}
    assert all(len(value) == 64 for value in before.values())

    # names of files, lines and notation do not count
    label = tmp_path / "labels/val/a.txt"
    label.write_text("\n0 5e-1 .5 0.250 .50")
    for name in ("images/val/a.jpg", "labels/val/a.txt"):
        path = tmp_path / name
        path.rename(path.with_stem("renamed"))
    assert digest(load(tmp_path / "data.yaml")) == before

    # the smallest change of a box does, in its split and the whole, and nowhere else
    label.with_stem("renamed").write_text("0 .5 .5 .25000000000000006 .5")
    after = digest(load(tmp_path / "data.yaml"))
    assert [name for name in before if before[name] != after[name]] == ["val", "all"]


def test_digest_sees_pictures_names_and_whose_box_it_is(tmp_path: Path) -> None:
    tables = make(tmp_path)
    before = digest(tables)
    images, labels = tables.images, tables.labels
    moved = images.assign(objects=[2, 0, 1])
    changed = [
        replace(tables, images=images.assign(md5=["0" * 32, *images["md5"][1:]])),
        replace(tables, class_names=("cat", "dog", "eagle")),
        replace(tables, images=moved),
        replace(tables, labels=labels.assign(class_id=labels["class_id"] + 1)),
    ]
    assert all(digest(one)["train"] != before["train"] for one in changed)


def test_describe_counts_classes_that_do_not_occur(tmp_path: Path) -> None:
    boxes = describe(make(tmp_path))["splits"]["val"]["boxes_by_class"]
    assert boxes == {"cat": 1, "dog": 0, "owl": 0}


def test_tables_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"dataset\.json not found: run the stage validate"):
        LabelTables.read(tmp_path)
    make(tmp_path / "data").write(tmp_path)
    pq.write_table(pa.table({"split": ["train"]}), tmp_path / LABELS_FILE)
    with pytest.raises(ValueError, match=r"labels\.parquet has other columns than this version"):
        LabelTables.read(tmp_path)
    (tmp_path / LABELS_FILE).write_bytes(b"not parquet")
    with pytest.raises(ValueError, match="cannot be read .* run validate again"):
        LabelTables.read(tmp_path)
    (tmp_path / LABELS_FILE).unlink()
    with pytest.raises(ValueError, match=r"labels\.parquet not found: run the stage validate"):
        LabelTables.read(tmp_path)
