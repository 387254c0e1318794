"""Detection as one uses it: boxes in pixels of the image, files that are none, results written."""

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageShow
from torch import Tensor

from yolov2.cli import main
from yolov2.config import DetectConfig
from yolov2.detection.detect import (
    Detected,
    Detector,
    Unreadable,
    detect_files,
    find_images,
)
from yolov2.network.checkpoint import save_checkpoint
from yolov2.network.yolov2 import YOLOv2

SIDE = 64


class CentrePixel:
    """A stand-in for a network: one box, as sure as the red of the canvas' centre is bright."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, images: Tensor) -> Tensor:
        assert images.shape[1:] == (3, SIDE, SIDE)
        self.batches.append(len(images))
        predictions = torch.zeros(len(images), 2, 7)
        predictions[:, 0, :4] = torch.tensor([32.0, 32.0, 20.0, 10.0])
        predictions[:, 0, 4] = images[:, 0, SIDE // 2, SIDE // 2]
        predictions[:, 0, 5:] = torch.tensor([0.75, 1.0])
        return predictions


def detector(network: CentrePixel, **config: float) -> Detector:
    return Detector(
        network=network,
        class_names=("cat", "dog"),
        image_size=SIDE,
        device=torch.device("cpu"),
        config=DetectConfig(**config),
    )


def grey(value: int, size: tuple[int, int] = (128, 64)) -> Image.Image:
    return Image.new("RGB", size, (value, value, value))


def test_boxes_are_in_pixels_of_the_image():
    # 128 x 64 covers rows 16 to 48 of the canvas at half size: the canvas box 22, 27, 42, 37
    # is 44, (27 - 16) * 2, 84, (37 - 16) * 2 in the image
    (found,) = detector(CentrePixel())([grey(204)])
    np.testing.assert_allclose(found.boxes_xyxy, [[44, 22, 84, 42]], atol=1e-4)
    np.testing.assert_allclose(found.scores, [0.8], atol=1e-6)
    assert found.class_ids.tolist() == [1], "a box has the likeliest class and no other"


def test_every_image_keeps_its_place_through_the_batches(tmp_path):
    grey(179).save(tmp_path / "b.png")
    buffer = BytesIO()
    grey(153).save(buffer, "PNG")
    network = CentrePixel()
    images = [grey(255), tmp_path / "b.png", str(tmp_path / "b.png"), buffer.getvalue(), grey(102)]
    found = detector(network, batch_size=2)(images)
    assert network.batches == [2, 2, 1]
    scores = [round(float(one.scores.sum()), 4) for one in found]
    assert scores == [1.0, 0.702, 0.702, 0.6, 0.0], "102 / 255 is below the threshold"


def test_images_of_other_modes_are_taken_as_rgb():
    alpha = Image.new("RGBA", (64, 64), (255, 0, 0, 10))
    (found,) = detector(CentrePixel())([alpha])
    assert found.scores.tolist() == [1.0]


def broken_folder(folder: Path) -> Path:
    """Two readable images among files that are none."""
    folder.mkdir()
    buffer = BytesIO()
    Image.effect_noise((200, 100), 90).convert("RGB").save(buffer, "JPEG")
    (folder / "a_truncated.jpg").write_bytes(buffer.getvalue()[:-2000])
    Image.new("CMYK", (100, 50), (0, 0, 0, 0)).save(folder / "b_cmyk.jpg")
    (folder / "c_text.jpg").write_text("no image at all")
    (folder / "d_empty.png").touch()
    grey(230, (50, 100)).save(folder / "e_good.PNG", "PNG")
    (folder / "notes.txt").write_text("left alone")
    (folder / "g_folder.jpg").mkdir()
    return folder


def test_what_cannot_be_read_is_said_and_the_rest_goes_on(tmp_path):
    paths = find_images(broken_folder(tmp_path / "in"))
    names = ["a_truncated.jpg", "b_cmyk.jpg", "c_text.jpg", "d_empty.png", "e_good.PNG"]
    assert [path.name for path in paths] == names
    results = list(detect_files(detector(CentrePixel(), batch_size=3), paths))
    assert [result.path for result in results] == paths
    problems = [result.problem for result in results if isinstance(result, Unreadable)]
    assert [problem.partition(": ")[0] for problem in problems] == [
        str(paths[i]) for i in (0, 2, 3)
    ]
    assert "truncated" in problems[0]
    assert "not an image that Pillow can read" in problems[1]
    assert "not an image that Pillow can read" in problems[2]
    good = [result for result in results if isinstance(result, Detected)]
    assert [result.image.size for result in good] == [(100, 50), (50, 100)]
    assert [round(float(result.detections.scores[0]), 2) for result in good] == [1.0, 0.9]


def test_a_file_is_taken_whatever_its_name(tmp_path):
    (tmp_path / "photo").touch()
    assert find_images(tmp_path / "photo") == [tmp_path / "photo"]


def test_sources_without_images_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"no such image or folder: .*nowhere$"):
        find_images(tmp_path / "nowhere")
    (tmp_path / "in" / "train").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"no images \(.*\.jpg .*\) directly in .*in$"):
        find_images(tmp_path / "in")
    grey(1).save(tmp_path / "in" / "train" / "x.jpg")
    with pytest.raises(ValueError, match=r"directly in .*in; .*in/train has some$"):
        find_images(tmp_path / "in")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "best.pt"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = YOLOv2(2, [(1.0, 1.0)], width=0.05)
    save_checkpoint(path, network, class_names=("cat", "größer dog"), image_size=SIDE)
    return path


def detect(weights: Path, source: Path, output: Path, *options: str) -> int:
    # scores of an untrained network are about 1/4
    given = ["--weights", weights, "--source", source, "--output-dir", output]
    return main(["detect", *map(str, given), "--device", "cpu", "--conf-threshold", "0", *options])


def test_the_command_writes_pictures_and_coco_results(weights, tmp_path, capsys):
    from pycocotools.coco import COCO

    status = detect(weights, broken_folder(tmp_path / "in"), tmp_path / "out")
    assert status == 1, "three files could not be read"
    said = capsys.readouterr()
    assert said.out.startswith("2 images, 8 detections (")
    assert "3 files could not be read" in said.out
    skipped = [line for line in said.err.splitlines() if line.startswith("skipped: ")]
    assert len(skipped) == 3
    assert "d_empty.png: not an image" in skipped[2]
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["b_cmyk.jpg", "detections.json", "e_good.PNG"]
    with Image.open(tmp_path / "out" / "e_good.PNG") as drawn:
        assert drawn.size == (50, 100)
    truth = COCO()
    truth.dataset = {"images": [{"id": i} for i in range(5)], "categories": [{"id": 0}, {"id": 1}]}
    truth.createIndex()
    results = truth.loadRes(str(tmp_path / "out" / "detections.json"))
    assert {ann["image_id"] for ann in results.anns.values()} == {1, 4}
    for ann in results.anns.values():
        width, height = (100, 50) if ann["image_id"] == 1 else (50, 100)
        left, top, w, h = ann["bbox"]
        assert left >= 0
        assert top >= 0
        assert w > 0
        assert h > 0
        assert left + w <= width + 0.01
        assert top + h <= height + 0.01
        assert ann["category_name"] == ("cat", "größer dog")[ann["category_id"]]


def test_the_command_finds_what_the_python_call_finds(weights, tmp_path):
    source = broken_folder(tmp_path / "in")
    detect(weights, source, tmp_path / "out", "--batch-size", "1")
    found = Detector.load(weights, "cpu", DetectConfig(conf_threshold=0))([source / "e_good.PNG"])
    said = json.loads((tmp_path / "out" / "detections.json").read_text())
    scores = [entry["score"] for entry in said if entry["file_name"] == "e_good.PNG"]
    np.testing.assert_allclose(scores, found[0].scores, atol=1e-5)


def test_nothing_is_replaced_unasked(weights, tmp_path, capsys):
    grey(10).save(tmp_path / "x.jpg")
    out = tmp_path / "out"
    assert detect(weights, tmp_path / "x.jpg", out) == 0
    before = (out / "x.jpg").read_bytes()
    (out / "detections.json").write_text("mine")
    assert detect(weights, tmp_path / "x.jpg", out) == 2
    assert "x.jpg exists (2 of the results do): name another --output-dir" in (
        capsys.readouterr().err
    )
    assert (out / "detections.json").read_text() == "mine"
    assert detect(weights, tmp_path / "x.jpg", out, "--overwrite") == 0
    assert (out / "x.jpg").read_bytes() == before
    assert json.loads((out / "detections.json").read_text())


def test_source_images_are_never_replaced(weights, tmp_path, capsys):
    grey(10).save(tmp_path / "x.jpg")
    before = (tmp_path / "x.jpg").read_bytes()
    assert detect(weights, tmp_path / "x.jpg", tmp_path, "--overwrite") == 2
    assert "is the folder of the source images, which are never replaced" in capsys.readouterr().err
    assert (tmp_path / "x.jpg").read_bytes() == before


def test_a_file_of_unknown_format_is_drawn_as_jpeg(weights, tmp_path):
    grey(10).save(tmp_path / "photo", "PNG")
    assert detect(weights, tmp_path / "photo", tmp_path / "out") == 0
    with Image.open(tmp_path / "out" / "photo.jpg") as drawn:
        assert drawn.format == "JPEG"


def test_show_needs_a_display_and_few_images(weights, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    source = broken_folder(tmp_path / "in")
    assert detect(weights, source, tmp_path / "out", "--show") == 2
    assert "--show needs a display and this session has none" in capsys.readouterr().err
    for i in range(11):
        grey(i).save(source / f"{i}.png")
    assert detect(weights, source, tmp_path / "out", "--show") == 2
    assert "--show opens a window for each image and there are 16" in capsys.readouterr().err
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
