"""``yolov2 detect``: results written and read back by others, and one clear line for a mistake."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageShow

from tests.yolov2.detection.stand_in import NAMES, broken_folder, checkpoint, grey
from yolov2.cli import main
from yolov2.commands.detect import KINDS
from yolov2.config.evaluate import DetectConfig
from yolov2.data.images.reading import NO_FORMAT, read_image
from yolov2.data.labels.files import parse_labels
from yolov2.detection.detect import Canvas, Detector
from yolov2.detection.inputs import frames, gather
from yolov2.termination import Terminated

READABLE = ("b_cmyk.jpg", "e_good.PNG", "f_sixteen_bits.png", "g_palette.png", "h_moving.gif")
SIZES = dict(zip(READABLE, ((100, 50), (50, 100), (70, 35), (64, 64), (128, 64)), strict=True))
NUMBERS = (1, 4, 5, 6, 7)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("weights"))


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
        f"c_text.jpg: {NO_FORMAT}",
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


@pytest.mark.parametrize("name", ["meta", "hpu", "vulkan"])
def test_a_device_that_is_none_is_one_line(weights, tmp_path, capsys, name):
    greys(tmp_path / "in", 1)
    assert detect(weights, tmp_path / "in", tmp_path / "out", "--device", name) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"yolov2 detect: error: device '{name}' cannot be used here (")
    assert said.count("\n") == 1


def test_a_ground_truth_of_other_sizes_is_refused(weights, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    width, height = grey(99).size
    grey(99).save(tmp_path / "in" / "a.png")
    file = tmp_path / "instances.json"
    image = {"id": 1, "file_name": "a.png", "width": 2 * width, "height": 2 * height}
    categories = [{"id": i, "name": name} for i, name in enumerate(NAMES)]
    for sizes, status in (({}, 2), ({"width": width, "height": height}, 0)):
        file.write_text(json.dumps({"images": [image | sizes], "categories": categories}))
        options = ("--annotations", file, "--save", "json", "--overwrite")
        assert detect(weights, tmp_path / "in", tmp_path / "out", *options) == status
    said = capsys.readouterr().err
    assert (
        f"yolov2 detect: error: a.png: it has {width} x {height} pixels, {file} says"
        f" {2 * width} x {2 * height}: annotate these files, or give those that were annotated"
        " (these may be resized copies)\n"
    ) in said


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
        ({"images": {}}, "not a COCO ground truth with images and categories: it has no list"),
        ({"images": [*truth["images"], {"id": 1}]}, "images[2] has no 'file_name': it needs a te"),
        ({"images": [*truth["images"], {"file_name": "a"}]}, "images[2] has no 'id': it needs a w"),
        ({"images": [{"id": [], "file_name": "a"}]}, "images[0]: id is [], not a whole number"),
        ({"categories": [*truth["categories"], {"id": 1}]}, "categories[2] has no 'name': it nee"),
        ({"categories": [*truth["categories"], 4]}, "categories[2] is 4, not an object"),
        ({"categories": [{"id": "x", "name": "cat"}]}, 'categories[0]: id is "x", not a whole nu'),
    ):
        file.write_text(json.dumps(truth | change))
        assert detect(weights, source, tmp_path / "none", *options) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"yolov2 detect: error: {file}")
        assert text in said
        assert said.count("\n") == 1
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


@pytest.fixture
def ends_at_third(monkeypatch) -> Callable[[BaseException], None]:
    """A way to have the detector raise something at its third batch."""
    network, batches = Detector.detect, count(1)

    def end(error: BaseException) -> None:
        def detect(self: Detector, canvases: Sequence[Canvas]) -> object:
            if next(batches) == 3:
                raise error
            return network(self, canvases)

        monkeypatch.setattr(Detector, "detect", detect)

    return end


def greys(folder: Path, number: int) -> Path:
    folder.mkdir()
    for i in range(number):
        grey(i).save(folder / f"{i}.png")
    return folder


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt(), 130), (ValueError("broken"), 2), (Terminated(), 143)],
)
def test_what_was_found_before_an_abort_is_kept_as_partial(
    weights, tmp_path, ends_at_third, capsys, error, status
):
    source, out = greys(tmp_path / "in", 4), tmp_path / "out"
    ends_at_third(error)
    options = ("--batch-size", 1, "--save", "drawn", "json", "csv", "parquet", "txt")
    assert detect(weights, source, out, *options) == status
    names = ["detections.csv", "detections.json", "detections.parquet"]
    assert sorted(path.name for path in out.iterdir()) == [
        *(f"{name}.partial" for name in names),
        *("drawn", "labels"),
    ]
    tables = (
        pd.read_csv(out / "detections.csv.partial")["image"],
        pd.read_json(out / "detections.json.partial")["file_name"],
        pd.read_parquet(out / "detections.parquet.partial")["image"],
    )
    assert [set(table) for table in tables] == [{"0.png", "1.png"}] * 3
    assert sorted(path.name for path in (out / "drawn").iterdir()) == ["0.png", "1.png"]
    said = capsys.readouterr()
    if status == 130:
        assert said.out.startswith("2 images, ")
        assert said.out.endswith(f"{out} (until the interruption; tables and videos: *.partial)\n")
    else:
        assert said.out == ""
    assert detect(weights, source, out, "--save", "csv") == 2
    assert "detections.csv.partial exists: name another --output-dir" in capsys.readouterr().err
    assert detect(weights, source, out, "--overwrite", *options) == 0
    assert sorted(path.name for path in out.iterdir()) == [*names, "drawn", "labels"]


def test_an_abort_leaves_no_empty_table_and_the_older_one(weights, tmp_path, ends_at_third):
    source, out = greys(tmp_path / "in", 4), tmp_path / "out"
    (out).mkdir()
    (out / "detections.json").write_text("older")
    ends_at_third(KeyboardInterrupt())
    options = ("--batch-size", 1, "--save", "json", "csv", "parquet", "--overwrite")
    assert detect(weights, source, out, *options, "--conf-threshold", 1) == 130
    assert [path.name for path in out.iterdir()] == ["detections.json"]
    assert (out / "detections.json").read_text() == "older"


def test_control_c_ends_the_recording_of_a_camera(
    weights, tmp_path, ends_at_third, monkeypatch, capsys
):
    class Camera:
        """Stands for ``VideoReader``: a camera has no end."""

        announced, rate = None, 10.0

        def __init__(self, source: int) -> None:
            pass

        def read(self) -> Image.Image:
            return grey(99)

        def close(self) -> None:
            pass

    monkeypatch.setattr(gather, "VideoReader", Camera)
    monkeypatch.setattr(frames, "VideoReader", Camera)
    ends_at_third(KeyboardInterrupt())
    assert detect(weights, 0, tmp_path / "out", "--save", "json") == 0
    assert capsys.readouterr().out.startswith("2 images, 8 detections ")
    said = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert {entry["frame"] for entry in said} == {0, 1}


def test_names_that_are_not_utf8_are_reported(weights, tmp_path, capsys):
    source = greys(tmp_path / "in", 1)
    try:
        grey(5).save(os.fsdecode(bytes(source) + b"/caf\xe9.png"))
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    Path(os.fsdecode(bytes(source) + b"/\xff.mp4")).touch()
    truth = {
        "images": [{"id": 5, "file_name": "0.png"}],
        "categories": [{"id": i, "name": name} for i, name in enumerate(NAMES)],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    options = ("--save", *KINDS, "--annotations", tmp_path / "truth.json")
    assert detect(weights, source, tmp_path / "out", *options) == 1
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        f"skipped: {source}/{name}: the name is not UTF-8, so that results could not carry it:"
        " rename it"
        for name in (r"caf\xe9.png", r"\xff.mp4")
    ]
    assert "2 files could not be read" in said.out
    assert set(pd.read_csv(tmp_path / "out" / "detections.csv")["image"]) == {"0.png"}
    only = os.fsdecode(bytes(source) + b"/caf\xe9.png")
    assert detect(weights, only, tmp_path / "out", "--overwrite") == 2
    assert capsys.readouterr().err == (
        f"yolov2 detect: error: {source}/caf\\xe9.png: the name is not UTF-8, so that results"
        " could not carry it: rename it\n"
    )
    folder = os.fsdecode(bytes(tmp_path) + b"/\xe9")
    assert (
        main(["detect", "--weights", str(weights), "--source", str(source), "--output-dir", folder])
        == 2
    )
    assert r"/\xe9: the name is not UTF-8; choose another" in capsys.readouterr().err


def test_a_video_without_opencv_does_not_stop_the_images(weights, tmp_path, monkeypatch, capsys):
    source = greys(tmp_path / "in", 2)
    (source / "clip.mp4").touch()
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert detect(weights, source, tmp_path / "out") == 1
    said = capsys.readouterr()
    problem = (
        f"{source}/clip.mp4: videos and cameras need OpenCV: pip install opencv-python-headless"
        " (or the extra yolov2-pipeline[video])\n"
    )
    assert said.err == f"skipped: {problem}"
    assert said.out.startswith("2 images, 8 detections ")
    assert "1 file could not be read" in said.out
    assert len(json.loads((tmp_path / "out" / "detections.json").read_text())) == 8
    assert detect(weights, source / "clip.mp4", tmp_path / "none") == 2
    assert capsys.readouterr().err == f"yolov2 detect: error: {problem}"
    assert not (tmp_path / "none").exists()


def test_thresholds_of_the_best_f1(tmp_path, capsys):
    """From beside the checkpoint, or from a file; the console says which."""
    given = ["detect", "--weights", str(checkpoint(tmp_path)), "--source"]
    given += [str(greys(tmp_path / "in", 1)), "--save", "none", "--device", "cpu"]
    assert main(given) == 0
    said = capsys.readouterr().out
    assert said.startswith("1 image, 0 detections, ")
    assert "thresholds" not in said
    low = {"classes": {name: {"threshold": 0.0} for name in NAMES}}
    for name, options in (("thresholds.json", []), ("own.json", ["--thresholds"])):
        file = tmp_path / name
        file.write_text(json.dumps(low))
        assert main([*given, *options, *([str(file)] if options else [])]) == 0
        said = capsys.readouterr().out
        assert said.startswith("1 image, 4 detections ")
        assert said.endswith(f"\nthresholds: {file}\n")
    assert main([*given, "--conf-threshold", "0.9"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("1 image, 0 detections, ")
    assert "thresholds" not in said


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
        (["--thresholds", "t"], "--conf-threshold and --thresholds both say what counts as found"),
        (["--annotations", "{}/no.json"], "no.json: no such file"),
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
