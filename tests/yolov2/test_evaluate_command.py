"""``yolov2 evaluate`` from the command line: COCO annotations, saved detections, shards."""

import argparse
import json

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from yolov2.cli import main
from yolov2.commands import evaluate
from yolov2.config.evaluate import DetectConfig
from yolov2.detection.detect import Detector
from yolov2.evaluation.detections_file import read_detections
from yolov2.network.checkpoint import save_checkpoint
from yolov2.network.yolov2 import YOLOv2

IDS = (9, 4, 30)


@pytest.fixture
def coco(tmp_path):
    """Weights, annotations and images of a data set in COCO's form, in the current folder."""
    random = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    images, annotations = [], []
    for image_id in IDS:
        pixels = random.integers(0, 255, (50, 70, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{image_id}.png")
        images.append({"id": image_id, "file_name": f"{image_id}.png", "width": 70, "height": 50})
        annotations.append(
            {"id": image_id, "image_id": image_id, "category_id": 17, "bbox": [5, 5, 40, 40]}
        )
    categories = [{"id": 17, "name": "dog"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "truth.json").write_text(json.dumps(content))
    torch.manual_seed(0)
    network = YOLOv2(2, [(1.0, 1.0)], width=0.05)
    save_checkpoint(tmp_path / "w.pt", network, class_names=("cat", "dog"), image_size=64)
    return tmp_path


def run(*options):
    parser = argparse.ArgumentParser()
    evaluate.add_options(parser)
    return evaluate.run(parser.parse_args([*map(str, options), "--resamples", "5"]))


def test_shards_of_a_coco_data_set_give_the_figures_of_the_whole(coco, capsys):
    truth = ("--annotations", coco / "truth.json")
    given = ("--weights", coco / "w.pt", *truth, "--images", coco / "images", "--device", "cpu")
    assert run(*given, "--save-dir", coco / "whole") == 0
    for number in (1, 2):
        assert run(*given, "--shard", f"{number}/2", "--save-dir", coco / "parts") == 0
    assert "1 of 3 images" in capsys.readouterr().out
    parts = sorted((coco / "parts" / "evaluate").iterdir())
    assert run("--detections", *parts, *truth, "--save-dir", coco / "merged") == 0
    whole, merged = coco / "whole", coco / "merged"
    assert (merged / "metrics.json").read_bytes() == (whole / "metrics.json").read_bytes()
    metrics = json.loads((whole / "metrics.json").read_text())
    assert (metrics["images"], metrics["boxes"], list(metrics["per_class"])) == (3, 3, ["dog"])
    assert (whole / "evaluate" / "label_errors.jpg").exists()
    assert not (whole / "thresholds.json").exists()
    whole_file = whole / "evaluate" / "detections.parquet"
    options = ("--detections", whole_file, *truth, "--split", "val", "--save-dir", coco / "val")
    with pytest.raises(ValueError, match="2 of 3 images are in none of the files"):
        run("--detections", parts[1], *truth, "--save-dir", merged)
    assert run(*options) == 0
    assert json.loads((coco / "val" / "thresholds.json").read_text())["split"] == "val"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "give --weights to detect with, or --detections"),
        (("--weights", "w", "--detections", "d"), "one of them"),
        (("--detections", "d", "--shard", "1/2"), "--shard detects"),
        (("--weights", "w", "--images", "i"), "--images belongs to --annotations"),
        (("--weights", "w", "--annotations", "a"), "name their folder with --images"),
        (("--weights", "w", "--annotations", "a", "--images", "no"), "--images no: no such folder"),
    ],
)
def test_options_that_do_not_go_together_are_one_clear_line(options, expected):
    with pytest.raises(ValueError, match=expected) as error:
        run(*options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("shard", "expected"),
    [("0/2", "no shard 0/2"), ("3/2", "no shard 3/2"), ("half", "write it as I/N")],
)
def test_a_shard_that_does_not_exist(coco, shard, expected):
    with pytest.raises(ValueError, match=expected):
        run(
            *("--weights", coco / "w.pt", "--annotations", coco / "truth.json"),
            *("--images", coco / "images", "--shard", shard),
        )


def small(file):
    """Half the size, as a data set's thumbnails are."""
    with Image.open(file) as image:
        image.resize((35, 25)).save(file)


def turned(file):
    """Upright only for who heeds its EXIF orientation: 50 columns and 70 rows."""
    with Image.open(file) as image:
        exif = image.getexif()
        exif[ExifTags.Base.Orientation] = 6
        image.save(file, exif=exif)


COPIES = "annotate these files, or give those that were annotated (these may be resized copies)"
TURNED = (
    "they are exchanged, as by an EXIF orientation: annotate the picture as it is turned, or take"
    " the orientation out of the file"
)


@pytest.mark.parametrize(
    ("change", "size", "advice"), [(small, "35 x 25", COPIES), (turned, "50 x 70", TURNED)]
)
@pytest.mark.parametrize("workers", [0, 1])
def test_images_of_another_size_than_annotated_are_refused(coco, change, size, advice, workers):
    """Boxes would be compared in pixels of different pictures: an AP of 0 without a word."""
    change(coco / "images" / "4.png")
    given = ("--weights", coco / "w.pt", "--annotations", coco / "truth.json", "--device", "cpu")
    with pytest.raises(ValueError, match="pixels") as error:
        run(*given, "--images", coco / "images", "--save-dir", coco, "--num-workers", workers)
    said = f"{coco / 'images' / '4.png'}: it has {size} pixels, the annotations say 70 x 50: "
    assert str(error.value).strip().endswith(said + advice)
    assert workers or str(error.value) == said + advice
    assert not (coco / "metrics.json").exists()


def test_pictures_of_another_size_than_annotated_are_refused_for_saved_detections(coco):
    truth = ("--annotations", coco / "truth.json")
    (coco / "found.json").write_text("[]")
    small(coco / "images" / "30.png")
    with pytest.raises(ValueError, match=r"30\.png: it has 35 x 25 pixels, the annotations say 70"):
        run("--detections", coco / "found.json", *truth, "--images", coco / "images")


def test_one_class_a_box_in_use_and_every_class_in_evaluation_as_both_say(coco, capsys):
    """An untrained network of two classes: both are far above 0.001 in every box."""
    given = ("--weights", coco / "w.pt", "--annotations", coco / "truth.json", "--device", "cpu")
    assert run(*given, "--images", coco / "images", "--save-dir", coco, "--nms-threshold", 1) == 0
    judged = read_detections(coco / "evaluate" / "detections.parquet").detections[4]
    config = DetectConfig(conf_threshold=0.001, nms_threshold=1)
    (found,) = Detector.load(coco / "w.pt", "cpu", config)([coco / "images" / "4.png"])
    assert len(judged) == 2 * len(found) > 0
    assert len({tuple(box) for box in found.boxes_xyxy.tolist()}) == len(found)
    best = {}
    for box, score, name in judged:
        best.setdefault(box, (score, name))  # they come by score
    assert {box: score for box, (score, _) in best.items()} == {
        box: score for box, score, _ in found
    }
    for command in ("detect", "evaluate"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        said = capsys.readouterr().out
        assert "likeliest" in said
        assert "for every class" in said
        assert {"detect": "`yolov2\nevaluate`", "evaluate": "`yolov2 detect`"}[command] in said
