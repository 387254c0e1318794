import json

import numpy as np
import pytest

from tests.yolov2.evaluation.test_coco import pycocotools_from
from yolov2.evaluation.coco_json import read_annotations, read_results
from yolov2.evaluation.detections_file import gather_detections
from yolov2.evaluation.metrics import evaluate

CATEGORIES = [{"id": 90, "name": "dog"}, {"id": 3, "name": "cat"}, {"id": 4, "name": "unused"}]


@pytest.fixture
def files(tmp_path):
    """Annotations and results with crowds, areas of masks, gaps in all ids and equal scores."""
    random = np.random.default_rng(0)
    images = [
        {"id": i, "file_name": f"{i:012d}.jpg", "width": 640, "height": 480} for i in (7, 0, 40, 12)
    ]
    annotations, results = [], []
    for number in range(60):
        left, top, width, height = random.uniform(0, 250, 4).round(2).tolist()
        common = {"image_id": images[number % 4]["id"], "category_id": (3, 90)[number % 2]}
        annotations.append(
            {
                **common,
                "id": 1000 + 7 * number,
                "bbox": [left, top, width, height],
                "area": width * height * 0.4,
                "iscrowd": int(number % 9 == 0),
            }
        )
        for shift in (0.02, 0.22):  # an IoU of exactly a threshold is a matter of rounding
            box = [left + shift * width, top, width, height]
            results.append({**common, "bbox": box, "score": int(random.integers(1, 9)) / 10})
    truth = {"images": images, "annotations": annotations, "categories": CATEGORIES}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "results.json").write_text(json.dumps(results))
    return tmp_path / "truth.json", tmp_path / "results.json"


def test_official_files_give_the_official_numbers(files):
    truth, results = files
    annotated = read_annotations(truth, None, None, "test")
    assert annotated.class_names == ("cat", "unused", "dog")
    assert list(annotated.truth) == [7, 0, 40, 12]
    evaluation = evaluate(annotated, gather_detections([results], annotated))
    expected = [value for value in pycocotools_from(truth, results) if value >= 0]
    assert list(evaluation.stats.values()) == pytest.approx(expected, abs=1e-12)
    assert evaluation.boxes == 60 - 7
    assert set(evaluation.per_class) == {"cat", "dog"}


def test_categories_become_the_classes_of_the_model_by_name(files):
    truth, results = files
    annotated = read_annotations(truth, None, ("bird", "dog", "cat"), "test")
    assert annotated.truth[0].class_ids.tolist() == [1] * 15
    assert set(read_results(results, annotated)[7].class_ids.tolist()) == {2}
    with pytest.raises(ValueError, match=r"category 90 \('dog'\) is no class of the model.*bird"):
        read_annotations(truth, None, ("bird", "cat"), "test")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[", "not JSON"),
        ("[]", "not COCO annotations"),
        ('{"images": []}', "it has no list 'annotations'"),
        ('{"images": [{"id": 1}], "annotations": [], "categories": []}', "'file_name'"),
    ],
)
def test_other_files_are_named(tmp_path, content, expected):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=rf"a\.json: .*{expected}"):
        read_annotations(tmp_path / "a.json", None, None, "test")


def test_results_of_other_images_or_categories_are_errors(files, tmp_path):
    annotated = read_annotations(files[0], None, None, "test")
    row = {"image_id": 8, "category_id": 3, "bbox": [0, 0, 1, 1], "score": 0.5}
    wrong = tmp_path / "wrong.json"
    for change, expected in (
        ({}, "image_id 8 is none of the 4 annotated images"),
        ({"image_id": 7, "category_id": 5}, "category_id 5 is none of the annotated ones"),
        ({"bbox": [1, 2]}, "not COCO results"),
    ):
        wrong.write_text(json.dumps([row | change]))
        with pytest.raises(ValueError, match=expected):
            read_results(wrong, annotated)
    with pytest.raises(ValueError, match="absent.json: no such file"):
        read_results(tmp_path / "absent.json", annotated)
