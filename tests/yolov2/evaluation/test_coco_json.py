import json

import numpy as np
import pytest

from tests.yolov2.evaluation.test_pycocotools_eval import pycocotools_from
from yolov2.evaluation import hotcoco_eval, pycocotools_eval
from yolov2.evaluation.coco_json import read_annotations, read_results
from yolov2.evaluation.detections_file import write_detections
from yolov2.evaluation.diagnosis import label_errors
from yolov2.evaluation.metrics import evaluate
from yolov2.evaluation.shares import gather_detections
from yolov2.evaluation.slices import slice_table
from yolov2.evaluation.thresholds import best_thresholds

CATEGORIES = [{"id": 90, "name": "dog"}, {"id": 3, "name": "cat"}, {"id": 4, "name": "unused"}]


def written(folder, images, annotations, results):
    """The paths of the two files that COCO's tools read."""
    truth = {"images": images, "annotations": annotations, "categories": CATEGORIES}
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "results.json").write_text(json.dumps(results))
    return folder / "truth.json", folder / "results.json"


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
        for shift in (0.02, 0.22):
            box = [left + shift * width, top, width, height]
            results.append({**common, "bbox": box, "score": int(random.integers(1, 9)) / 10})
    return written(tmp_path, images, annotations, results)


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
        (
            '{"images": [{"id": 1, "width": 5}], "annotations": [], "categories": []}',
            r"images\[0\] has no 'file_name': it needs a text",
        ),
        ('{"images": [], "annotations": [], "categories": []}', "it has no images"),
        (
            '{"images": [5], "annotations": [], "categories": []}',
            r"images\[0\] is 5, not an object",
        ),
    ],
)
def test_other_files_are_named(tmp_path, content, expected):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=rf"a\.json: .*{expected}"):
        read_annotations(tmp_path / "a.json", None, None, "test")


GOOD = {"image_id": 7, "category_id": 3, "bbox": [0, 0, 1, 1], "score": 0.5}
BOX = "not [left, top, width, height] in pixels, finite, width and height not negative"
SCORE = "not a number from 0 to 1 (divide percentages by 100)"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"image_id": 8}, "image_id 8 is none of the 4 annotated images: give the annotations"),
        ({"image_id": "7"}, 'image_id is "7", not a whole number'),
        ({"image_id": 7.5}, "image_id is 7.5, not a whole number"),
        ({"image_id": None}, "image_id is null, not a whole number"),
        ({"image_id": True}, "image_id is true, not a whole number"),
        ({"image_id": 10**30}, "image_id is 1000000000000000000000000000000, not a whole number"),
        ({"category_id": 5}, "category_id 5 is none of the annotated ones (3, 4, 90)"),
        ({"category_id": [3]}, "category_id is [3], not a whole number"),
        ({"bbox": [1, 2]}, f"bbox is [1, 2], {BOX}"),
        ({"bbox": None}, f"bbox is null, {BOX}"),
        ({"bbox": [0, 0, "1", 1]}, f'bbox is [0, 0, "1", 1], {BOX}'),
        ({"bbox": [0, float("nan"), 1, 1]}, f"bbox is [0, NaN, 1, 1], {BOX}"),
        ({"bbox": [0, 0, float("inf"), 1]}, f"bbox is [0, 0, Infinity, 1], {BOX}"),
        ({"bbox": [0, 0, 1, 10**400]}, f"..., {BOX}"),
        ({"bbox": [5, 5, 1, -3]}, f"bbox is [5, 5, 1, -3], {BOX}"),
        ({"score": None}, f"score is null, {SCORE}"),
        ({"score": float("nan")}, f"score is NaN, {SCORE}"),
        ({"score": 87.5}, f"score is 87.5, {SCORE}"),
        ({"score": 1.00001}, f"score is 1.00001, {SCORE}"),
        ({"score": -0.1}, f"score is -0.1, {SCORE}"),
        ({"score": "high"}, f'score is "high", {SCORE}'),
    ],
)
def test_a_wrong_result_is_named_with_its_value(files, tmp_path, change, expected):
    annotated = read_annotations(files[0], None, None, "test")
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps([GOOD, GOOD, GOOD | change]))
    with pytest.raises(ValueError, match=r"wrong\.json: results\[2\]") as error:
        read_results(wrong, annotated)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", GOOD)
def test_a_result_that_lacks_something_is_named(files, tmp_path, key):
    annotated = read_annotations(files[0], None, None, "test")
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps([GOOD, {name: GOOD[name] for name in GOOD if name != key}]))
    with pytest.raises(ValueError, match=rf"wrong\.json: results\[1\] has no '{key}': it needs"):
        read_results(wrong, annotated)


def test_files_that_are_no_results(files, tmp_path):
    annotated = read_annotations(files[0], None, None, "test")
    with pytest.raises(ValueError, match="absent.json: no such file"):
        read_results(tmp_path / "absent.json", annotated)
    (tmp_path / "wrong.json").write_text("[4]")
    with pytest.raises(ValueError, match=r"wrong.json: results\[0\] is 4, not an object"):
        read_results(tmp_path / "wrong.json", annotated)
    with pytest.raises(ValueError, match="truth.json: not COCO results: it is not a list of det"):
        read_results(files[0], annotated)


def test_what_pycocotools_takes_is_taken(files, tmp_path):
    """Ids as floats, boxes beyond the image and boxes without area."""
    truth, _ = files
    odd = [
        GOOD | {"image_id": 7.0, "category_id": 3.0, "score": 1},
        GOOD | {"bbox": [-20.5, -3, 900, 700], "score": 0},
        GOOD | {"bbox": [5, 5, 0, 0]},
    ]
    file = tmp_path / "odd.json"
    file.write_text(json.dumps(odd))
    annotated = read_annotations(truth, None, None, "test")
    found = read_results(file, annotated)
    assert list(found) == [7]
    assert found[7].scores.tolist() == [1, 0.5, 0]
    assert found[7].boxes_xyxy[2].tolist() == [-20.5, -3, 879.5, 697]
    ours = evaluate(annotated, gather_detections([file], annotated)).stats
    expected = [value for value in pycocotools_from(truth, file) if value >= 0]
    assert list(ours.values()) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("images", {"id": "one"}, 'images[1]: id is "one", not a whole number'),
        ("images", {"id": 7}, "two images have the same id"),
        ("images", {"file_name": None}, "images[1]: file_name is null, not a text"),
        ("images", {"file_name": "\ud800"}, 'images[1]: file_name is "\\ud800", not a text'),
        ("images", {"width": "640"}, 'images[1]: width is "640", not a whole number'),
        ("images", {"height": 0}, "images[1]: height is 0: it must be that of the image in pixels"),
        ("annotations", {"image_id": 8}, "annotations[1]: image_id 8 is none of its images"),
        ("annotations", {"image_id": [7]}, "annotations[1]: image_id is [7], not a whole number"),
        ("annotations", {"category_id": 5}, "annotations[1]: category_id 5 is none of its categ"),
        ("annotations", {"bbox": [1, 2, 3]}, f"annotations[1]: bbox is [1, 2, 3], {BOX}"),
        ("annotations", {"bbox": "1 2 3 4"}, f'annotations[1]: bbox is "1 2 3 4", {BOX}'),
        ("annotations", {"area": None}, "annotations[1]: area is null, not a finite number that"),
        ("annotations", {"iscrowd": "no"}, 'annotations[1]: iscrowd is "no", not 0 or 1'),
        ("categories", {"id": None}, "categories[1]: id is null, not a whole number"),
        ("categories", {"id": 90}, "two categories have the same id"),
        ("categories", {"name": 3}, "categories[1]: name is 3, not a text"),
        ("categories", {"name": "dog"}, "several categories are called 'dog'"),
    ],
)
def test_wrong_annotations_are_named_with_file_and_value(files, name, change, expected):
    truth, _ = files
    content = json.loads(truth.read_text())
    content[name][1] |= change
    truth.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"truth\.json: ") as error:
        read_annotations(truth, None, None, "test")
    assert expected in str(error.value)


@pytest.fixture
def tips(tmp_path):
    """Detections of half an object's height: overlaps of 0.5, but for the last digit."""
    random = np.random.default_rng(1)
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in range(1, 41)]
    annotations, results = [], []
    for number, image in enumerate(images, start=1):
        left, top, width, height = random.uniform(1, 200, 4).round(2).tolist()
        common = {"image_id": image["id"], "category_id": 3}
        annotations.append(
            {
                **common,
                "id": number,
                "bbox": [left, top, width, height],
                "area": width * height,
                "iscrowd": 0,
            }
        )
        score = round(random.uniform(0.3, 1), 9)
        results.append({**common, "bbox": [left, top, width, height / 2], "score": score})
    return written(tmp_path, images, annotations, results)


def test_overlaps_of_exactly_a_threshold_fall_as_in_pycocotools(tips):
    truth, results = tips
    annotated = read_annotations(truth, None, None, "test")
    expected = [value for value in pycocotools_from(truth, results) if value >= 0]
    assert 0.1 < expected[1] < 0.9, "the case decides nothing"
    found = gather_detections([results], annotated)
    evaluation = evaluate(annotated, found)
    assert list(evaluation.stats.values()) == expected
    for judge in (pycocotools_eval, hotcoco_eval):
        quick = judge.average_precision(annotated.truth, found, len(annotated.class_names))
        assert [quick["AP"], quick["AP50"]] == expected[:2]
    # one class, one object and one detection an image: what is found is found by any rule
    (cat, *_) = evaluation.matches.classes
    assert evaluation.confusion[0, 0] == cat.true[0].sum()
    assert sum(score.found for score in evaluation.image_scores) == cat.true[0].sum()


def test_saved_detections_of_other_tools_give_the_same_figures(tips, tmp_path):
    truth, results = tips
    annotated = read_annotations(truth, None, None, "test")
    found = gather_detections([results], annotated)
    write_detections(tmp_path / "saved.parquet", found, annotated)
    again = gather_detections([tmp_path / "saved.parquet"], annotated)
    for image_id, one in found.items():
        for name in ("boxes_xyxy", "boxes_ltwh", "scores", "class_ids"):
            assert getattr(one, name).tolist() == getattr(again[image_id], name).tolist(), name
    assert evaluate(annotated, again).as_json() == evaluate(annotated, found).as_json()


def test_a_score_that_rounding_pushed_over_one_is_taken(files, tmp_path):
    truth, results = files
    content = json.loads(results.read_text())
    for row in content[:20]:
        row["score"] = 1.0000001
    content[3]["score"] = 1.0
    content.append(GOOD | {"bbox": [500, 400, 50, 50], "score": 1.0000001})
    results.write_text(json.dumps(content))
    annotated = read_annotations(truth, None, None, "test")
    found = gather_detections([results], annotated)
    assert max(one.scores.max() for one in found.values()) == 1.0000001
    evaluation = evaluate(annotated, found)
    expected = [value for value in pycocotools_from(truth, results) if value >= 0]
    assert list(evaluation.stats.values()) == expected
    counted = sum(int(one.counts[0].sum()) for one in evaluation.matches.classes)
    assert evaluation.calibration.bins["detections"].sum() == counted > 100
    assert label_errors(evaluation.judge, annotated.truth, found)[0].score == 1.0000001
    best = best_thresholds(evaluation.matches, evaluation.class_names)
    assert all(0 <= one.threshold <= 1 for one in best.values())


BIG = 2**53
"""From here on a double does not hold every whole number."""


def with_big_ids(truth, results, folder):
    """The same files with ids that doubles do not tell apart; the new image ids by the old."""
    content, found = json.loads(truth.read_text()), json.loads(results.read_text())
    images = {old: BIG + 1 + i for i, old in enumerate(sorted(i["id"] for i in content["images"]))}
    categories = {
        old: 2**62 + i for i, old in enumerate(sorted(c["id"] for c in content["categories"]))
    }
    for image in content["images"]:
        image["id"] = images[image["id"]]
    for category in content["categories"]:
        category["id"] = categories[category["id"]]
    for number, annotation in enumerate(content["annotations"]):
        annotation["id"] = BIG + number
    for row in content["annotations"] + found:
        row["image_id"] = images[row["image_id"]]
        row["category_id"] = categories[row["category_id"]]
    folder.mkdir()
    (folder / "truth.json").write_text(json.dumps(content))
    (folder / "results.json").write_text(json.dumps(found))
    return folder / "truth.json", folder / "results.json", images


def everything(truth, results):
    """All that an evaluation says about two files, as plain values, and the image ids in it."""
    annotated = read_annotations(truth, None, None, "val")
    found = gather_detections([results], annotated)
    classes = len(annotated.class_names)
    evaluation = evaluate(annotated, found, resamples=50)
    judge = evaluation.judge
    errors = label_errors(judge, annotated.truth, found)
    slices = slice_table(judge, annotated, {i: float(k) for k, i in enumerate(annotated.truth)})
    said = {
        "metrics": evaluation.as_json(),
        "quick": [
            judge.average_precision(annotated.truth, found, classes)
            for judge in (pycocotools_eval, hotcoco_eval)
        ],
        "thresholds": best_thresholds(evaluation.matches, annotated.class_names),
        "reliability": evaluation.calibration.bins.fillna(-1).to_dict("list"),
        "matches": [
            [each.tolist() for each in vars(one).values()] for one in evaluation.matches.classes
        ],
        "confusion": evaluation.confusion.tolist(),
        "slices": slices.fillna(-1).to_dict("list"),
        "label errors": [vars(one) | {"image_id": None} for one in errors],
        "f1": [score.f1 for score in evaluation.image_scores],
    }
    ids = [[one.image_id for one in each] for each in (errors, evaluation.image_scores)]
    return said, ids


def test_ids_beyond_what_doubles_hold_change_nothing(files, tmp_path):
    truth, results = files
    extra = json.loads(results.read_text())
    extra += [  # beside every object: suspected mistakes of the labels
        GOOD | {"image_id": image_id, "bbox": [500, 400, 50, 50], "score": 0.9 - image_id / 1000}
        for image_id in (7, 0, 40, 12)
    ]
    results.write_text(json.dumps(extra))
    *big, ids = with_big_ids(truth, results, tmp_path / "big")
    said, places = everything(truth, results)
    said_of_big, big_places = everything(*big)
    assert len(places[0]) == 4
    assert said_of_big == said
    assert big_places == [[ids[image_id] for image_id in each] for each in places]


def test_ids_that_lost_their_digits_are_refused(files):
    truth, _ = files
    content = json.loads(truth.read_text())
    content["images"].append(content["images"][1] | {"id": float(BIG + 2)})
    truth.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"truth\.json: images\[4\]: id is ") as error:
        read_annotations(truth, None, None, "test")
    assert str(error.value).endswith(
        "id is 9007199254740994.0, not a whole number without a point: beyond 2^53 a number with"
        " one has lost digits"
    )
