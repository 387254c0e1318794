"""``yolov2 detect``: results written and read back by others, and one clear line for a mistake."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageShow

from tests.yolov2.detection.stand_in import NAMES, SIDE, broken_folder, grey
from yolov2.cli import main
from yolov2.config import DetectConfig
from yolov2.data.images import read_image
from yolov2.data.labels import parse_labels
from yolov2.detection.detect import Detector
from yolov2.network.checkpoint import save_checkpoint
from yolov2.network.yolov2 import YOLOv2

READABLE = ("b_cmyk.jpg", "e_good.PNG", "f_sixteen_bits.png", "g_palette.png", "h_moving.gif")
SIZES = dict(zip(READABLE, ((100, 50), (50, 100), (70, 35), (64, 64), (128, 64)), strict=True))
NUMBERS = (1, 4, 5, 6, 7)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "best.pt"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = YOLOv2(2, [(1.0, 1.0)], width=0.05)
    save_checkpoint(path, network, class_names=NAMES, image_size=SIDE)
    return path


def detect(weights: Path, source: object, output: Path, *options: object) -> int:
    # scores of an untrained network are about 1/4
    given = ["--weights", weights, "--source", source, "--output-dir", output, "--device", "cpu"]
    return main(["detect", *map(str, [*given, "--conf-threshold", 0, *options])])


def test_a_broken_folder_is_worked_through_and_read_back(weights, tmp_path, capsys):
    from pycocotools.coco import COCO

    source, out = broken_folder(tmp_path / "in"), tmp_path / "out"
    kinds = ("drawn", "json", "csv", "parquet", "txt", "crops")
    assert detect(weights, source, out, "--save", *kinds, "--batch-size", 3) == 1
    said = capsys.readouterr()
    assert said.out.startswith("5 images, 20 detections (")
    assert "4 files could not be read" in said.out
    lines = said.err.splitlines()
    assert [line.rpartition("/")[2].split(" (")[0] for line in lines[:3]] == [
        "a_truncated.jpg: cannot be decoded",
        "c_text.jpg: not an image that Pillow can read",
        "d_empty.png: empty",
    ]
    assert lines[3] == "note: h_moving.gif: holds 3 pictures, only the first is looked at"
    assert lines[4].endswith("i_gone.jpg: no such image file")
    assert len(lines) == 5
    drawn = {path.name: read_image(path).size for path in (out / "drawn").iterdir()}
    assert drawn == {name.replace(".gif", ".gif.jpg"): size for name, size in SIZES.items()}

    truth = COCO()
    truth.dataset = {"images": [{"id": i} for i in NUMBERS], "categories": [{"id": 0}, {"id": 1}]}
    truth.createIndex()
    results = truth.loadRes(str(out / "detections.json"))
    assert {ann["image_id"] for ann in results.anns.values()} == set(NUMBERS)
    for ann in results.anns.values():
        width, height = SIZES[ann["file_name"]]
        left, top, w, h = ann["bbox"]
        assert min(left, top) >= 0 < min(w, h)
        assert left + w <= width + 0.01
        assert top + h <= height + 0.01
        assert ann["category_name"] == NAMES[ann["category_id"]]

    table, parquet = (
        pd.read_csv(out / "detections.csv"),
        pd.read_parquet(out / "detections.parquet"),
    )
    assert table.columns.tolist() == parquet.columns.tolist()
    assert parquet["frame"].isna().all()
    for column in ("image_id", "image", "class_id", "class_name"):
        assert table[column].tolist() == parquet[column].tolist()
    corners = parquet[["x1", "y1", "x2", "y2"]].to_numpy()
    np.testing.assert_allclose(table[["x1", "y1", "x2", "y2"]], corners, atol=0.006)
    boxes = np.array([ann["bbox"] for ann in results.anns.values()])
    np.testing.assert_allclose(boxes[:, :2] + boxes[:, 2:], corners[:, 2:], atol=0.03)

    for name in READABLE:
        rows, bad = parse_labels((out / "labels" / name).with_suffix(".txt").read_bytes())
        of_image = parquet[parquet["image"] == name]
        assert (len(rows), bad) == (4, [])
        assert rows[:, 1].tolist() == of_image["class_id"].tolist()
        centre = (of_image["x1"] + of_image["x2"]) / 2 / SIZES[name][0]
        np.testing.assert_allclose(rows[:, 2], centre, atol=2e-6)
        for rank, row in enumerate(of_image.itertuples(), start=1):
            file = out / "crops" / str(row.class_name) / f"{Path(name).stem}-{rank}.jpg"
            with Image.open(file) as cut:
                assert abs(cut.width - (row.x2 - row.x1)) < 2
                assert abs(cut.height - (row.y2 - row.y1)) < 2


def test_the_command_finds_what_the_python_call_finds(weights, tmp_path):
    source = broken_folder(tmp_path / "in")
    detect(weights, source, tmp_path / "out", "--batch-size", 1)
    found = Detector.load(weights, "cpu", DetectConfig(conf_threshold=0))([source / "e_good.PNG"])
    said = json.loads((tmp_path / "out" / "detections.json").read_text())
    scores = [entry["score"] for entry in said if entry["file_name"] == "e_good.PNG"]
    np.testing.assert_allclose(scores, found[0].scores, atol=1e-5)


def test_ids_of_a_ground_truth(weights, tmp_path, capsys):
    """Category ids with gaps, as COCO's, come from the file, and so do the images' ids."""
    source = tmp_path / "in"
    for name in ("000000000139.png", "val/000000000285.png"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        grey(99).save(source / name)
    truth = {
        "images": [
            {"id": 285, "file_name": "val/000000000285.png"},
            {"id": 139, "file_name": "val2017/000000000139.png"},
        ],
        "categories": [{"id": 90, "name": NAMES[1]}, {"id": 17, "name": "cat"}],
    }
    file = tmp_path / "instances.json"
    file.write_text(json.dumps(truth))
    options = ("--recursive", "--annotations", file)
    assert detect(weights, source, tmp_path / "out", *options) == 0
    said = json.loads((tmp_path / "out" / "detections.json").read_text())
    ids = {(each["file_name"][-7:-4], each["image_id"]) for each in said}
    assert ids == {("139", 139), ("285", 285)}
    pairs = {(each["category_name"], each["category_id"]) for each in said}
    assert pairs <= {("cat", 17), (NAMES[1], 90)}
    for change, text in (
        ({"categories": truth["categories"][1:]}, f"has no category '{NAMES[1]}'"),
        ({"images": truth["images"][1:]}, "has no image val/000000000285.png (1 of 2 images"),
        ({"images": [{"id": 1}]}, "not a COCO ground truth with images and categories"),
    ):
        file.write_text(json.dumps(truth | change))
        assert detect(weights, source, tmp_path / "none", *options) == 2
        assert text in capsys.readouterr().err
    file.write_text(json.dumps(truth | {"categories": truth["categories"][1:]}))
    assert detect(weights, source, tmp_path / "cats", *options, "--classes", "cat") == 0


def test_the_same_name_in_two_folders_or_formats_does_not_clash(weights, tmp_path):
    for name in ("a.png", "a.jpg", "x/a.png", "y/a.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        grey(9).save(tmp_path / "in" / name)
    options = ("--recursive", "--save", "drawn", "txt", "--label-scores")
    assert detect(weights, tmp_path / "in", tmp_path / "out", *options) == 0
    files = (path for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert sorted(str(path.relative_to(tmp_path / "out")) for path in files) == [
        *("drawn/a.jpg", "drawn/a.png", "drawn/x/a.png", "drawn/y/a.png"),
        *("labels/a.jpg.txt", "labels/a.png.txt", "labels/x/a.png.txt", "labels/y/a.png.txt"),
    ]
    line = (tmp_path / "out" / "labels" / "a.jpg.txt").read_text().splitlines()[0].split()
    assert len(line) == 6
    assert 0 < float(line[5]) < 1


def test_a_turned_photograph_is_drawn_as_it_is_seen(weights, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    grey(9, (60, 30)).save(tmp_path / "a.jpg", exif=exif)
    assert detect(weights, tmp_path / "a.jpg", tmp_path / "out") == 0
    with Image.open(tmp_path / "out" / "drawn" / "a.jpg") as drawn:
        assert drawn.size == (30, 60)
        assert not drawn.getexif()


def test_nothing_is_replaced_unasked(weights, tmp_path, capsys):
    grey(10).save(tmp_path / "x.jpg")
    out = tmp_path / "out"
    assert detect(weights, tmp_path / "x.jpg", out) == 0
    before = (out / "drawn" / "x.jpg").read_bytes()
    (out / "detections.json").write_text("mine")
    assert detect(weights, tmp_path / "x.jpg", out, "--save", "json") == 2
    assert "detections.json exists: name another --output-dir, or" in capsys.readouterr().err
    assert (out / "detections.json").read_text() == "mine"
    assert detect(weights, tmp_path / "x.jpg", out, "--overwrite") == 0
    assert (out / "drawn" / "x.jpg").read_bytes() == before
    assert json.loads((out / "detections.json").read_text())
    assert sorted(path.name for path in out.iterdir()) == ["detections.json", "drawn"]
    assert detect(weights, out / "drawn", out, "--overwrite") == 2
    assert "drawn holds source images, which are never replaced" in capsys.readouterr().err


def test_what_was_found_before_control_c_is_kept(weights, tmp_path, monkeypatch, capsys):
    source = tmp_path / "in"
    source.mkdir()
    for i in range(4):
        grey(i).save(source / f"{i}.png")
    counted = []
    network = Detector.detect

    def interrupted(self: Detector, canvases: object) -> object:
        counted.append(canvases)
        if len(counted) == 3:
            raise KeyboardInterrupt
        return network(self, canvases)

    monkeypatch.setattr(Detector, "detect", interrupted)
    assert detect(weights, source, tmp_path / "out", "--batch-size", 1) == 130
    assert capsys.readouterr().out.startswith("2 images, ")
    said = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert {entry["file_name"] for entry in said} == {"0.png", "1.png"}
    assert sorted(path.name for path in (tmp_path / "out" / "drawn").iterdir()) == [
        "0.png",
        "1.png",
    ]


def test_nothing_is_written_if_nothing_is_asked_for(weights, tmp_path, capsys):
    grey(10).save(tmp_path / "x.jpg")
    assert detect(weights, tmp_path / "x.jpg", tmp_path / "out", "--save", "none") == 0
    assert capsys.readouterr().out.startswith("1 image, 4 detections (")
    assert not (tmp_path / "out").exists()


def test_no_detections_are_an_empty_list(weights, tmp_path):
    grey(10).save(tmp_path / "x.jpg")
    kinds = ("--save", "json", "csv", "parquet", "txt", "--conf-threshold", "1")
    assert detect(weights, tmp_path / "x.jpg", tmp_path / "out", *kinds) == 0
    assert json.loads((tmp_path / "out" / "detections.json").read_text()) == []
    assert len(pd.read_csv(tmp_path / "out" / "detections.csv")) == 0
    assert len(pd.read_parquet(tmp_path / "out" / "detections.parquet")) == 0
    assert (tmp_path / "out" / "labels" / "x.txt").read_text() == ""


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--source", "{}/nowhere"], "no such image, video, folder or list: "),
        (["--source", "{}"], "no images ("),
        (["--weights", "{}/no.pt"], "no.pt"),
        (["--weights", "{}/x.jpg"], "x.jpg is no model file: its name must end in .onnx, .pt"),
        (["--classes", "owl"], "the model knows no class 'owl'; it knows 0 cat, 1 größer dog"),
        (["--image-size", "70"], "image_size must be a multiple of 32, 64 or more, not 70"),
        (["--conf-threshold", "2"], "conf_threshold must be between 0 and 1, not 2"),
        (["--nms-threshold", "-1"], "nms_threshold must be between 0 and 1, not -1"),
        (["--batch-size", "0"], "batch_size must be between 1 and 1e+06, not 0"),
        (["--max-detections", "0"], "max_detections must be between 1 and 100000, not 0"),
        (["--device", "toaster"], "toaster"),
        (["--save", "none", "json"], "--save none leaves no room for others: none json"),
        (["--label-scores"], "--label-scores goes with --save txt"),
        (["--annotations", "{}/no.json"], "no.json: No such file or directory"),
        (["--source", "-"], "--source -: standard input is empty"),
        (["--source", "ftp://a/b"], "of addresses only http:// and https:// can be looked at"),
    ],
)
def test_a_mistake_is_one_clear_line(weights, tmp_path, monkeypatch, capsys, options, text):
    from io import BytesIO, TextIOWrapper

    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO()))
    (tmp_path / "empty").mkdir()
    grey(5).save(tmp_path / "x.jpg")
    folder = tmp_path / "empty" if options == ["--source", "{}"] else tmp_path
    given = [option.format(folder) for option in options]
    assert detect(weights, tmp_path / "x.jpg", tmp_path / "out", *given) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("yolov2 detect: error: ")
    assert text in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_show_needs_a_display_and_few_images(weights, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    source = broken_folder(tmp_path / "in")
    assert detect(weights, source, tmp_path / "out", "--show") == 2
    assert "--show needs a display and this session has none" in capsys.readouterr().err
    for i in range(11):
        grey(i).save(source / f"{i}.png")
    assert detect(weights, source, tmp_path / "out", "--show") == 2
    assert "--show opens a window for each image and there are 20" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("viewer", "status"), [(True, 0), (False, 2)])
def test_show_opens_the_drawn_image(weights, tmp_path, monkeypatch, capsys, viewer, status):
    shown: list[Sequence[int]] = []

    def show(image: Image.Image) -> bool:
        shown.append(image.size)
        return viewer

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(ImageShow, "show", show)
    grey(10, (40, 30)).save(tmp_path / "x.jpg")
    assert detect(weights, tmp_path / "x.jpg", tmp_path / "out", "--show") == status
    assert shown == [(40, 30)]
    assert ("no image viewer" in capsys.readouterr().err) is not viewer
