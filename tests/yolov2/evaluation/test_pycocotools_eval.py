import contextlib
import io
import json

import numpy as np
import pytest

from tests.tables import make_tables
from yolov2.detection.detections import Detections, GroundTruth, ground_truth
from yolov2.evaluation.figures import STATS
from yolov2.evaluation.pycocotools_eval import average_precision, coco_metrics


def boxes(*rows, columns=4):
    return np.array(rows, dtype=np.float64).reshape(-1, columns)


def objects(*rows):
    """Ground truth of rows class, x1, y1, x2, y2."""
    table = boxes(*rows, columns=5)
    return GroundTruth(boxes_xyxy=table[:, 1:], class_ids=table[:, 0].astype(np.int64))


def found(*rows):
    """Detections of rows score, class, x1, y1, x2, y2."""
    table = boxes(*rows, columns=6)
    return Detections(
        boxes_xyxy=table[:, 2:].astype(np.float32),
        scores=table[:, 0].astype(np.float32),
        class_ids=table[:, 1].astype(np.int64),
    )


def random_case(seed, images=30, classes=3):
    """Objects of all sizes, most of them found more or less well, and false alarms."""
    random = np.random.default_rng(seed)
    truth, detections = {}, {}
    for image_id in random.permutation(images).tolist():
        count = random.integers(0, 6)
        corner = random.uniform(0, 300, (count, 2))
        size = np.exp(random.uniform(2, 5.5, (count, 2)))
        box = np.concatenate((corner, corner + size), axis=1)
        class_ids = random.integers(0, classes, count)
        truth[image_id] = GroundTruth(boxes_xyxy=box, class_ids=class_ids)
        noisy = box + random.normal(0, 0.1, box.shape) * np.tile(size, 2)
        stray = np.sort(random.uniform(0, 400, (3, 2, 2)), axis=1).reshape(3, 4)
        scores = random.permutation(1000)[: count + 3] / 1000 + image_id * 1e-6  # no ties
        order = np.argsort(-scores)
        detections[image_id] = Detections(
            boxes_xyxy=np.concatenate((noisy, stray))[order].astype(np.float32),
            scores=scores[order].astype(np.float32),
            class_ids=np.append(class_ids, random.integers(0, classes, 3))[order],
        )
    return truth, detections


def test_average_precision_by_hand():
    # one class, three objects; by score: hit, false alarm, hit at IoU 80/100, the third missed.
    # At IoU <= 0.8 precision is 1 up to recall 1/3 (34 of 101 points), then 2/3 up to 2/3 (33
    # points), then 0; above 0.8 (3 of 10 thresholds) only the first hit counts.
    truth = {
        0: objects((0, 0, 0, 10, 10), (0, 20, 20, 30, 30)),
        1: objects((0, 0, 0, 10, 10)),
        2: objects(),
    }
    detections = {
        0: found((0.9, 0, 0, 0, 10, 10), (0.5, 0, 20, 20, 30, 28)),
        1: found(),
        2: found((0.7, 0, 5, 5, 9, 9)),
    }
    ap50, strict = (34 + 33 * 2 / 3) / 101, 34 / 101
    result = coco_metrics(truth, detections, ["thing"])
    assert result.stats["AP50"] == pytest.approx(ap50)
    assert result.stats["AP75"] == pytest.approx(ap50)
    assert result.stats["AP"] == pytest.approx(0.7 * ap50 + 0.3 * strict)
    assert result.stats["AR100"] == pytest.approx(0.7 * 2 / 3 + 0.3 * 1 / 3)
    assert result.stats["AR1"] == pytest.approx(1 / 3)
    assert result.per_class == {
        "thing": {
            "AP": pytest.approx(0.7 * ap50 + 0.3 * strict),
            "AP50": pytest.approx(ap50),
            "APsmall": pytest.approx(0.7 * ap50 + 0.3 * strict),
        }
    }
    curve = result.pr_curves.set_index("recall")["thing"]
    assert curve.loc[[0.0, 0.33, 0.34, 0.66, 0.67, 1.0]].tolist() == pytest.approx(
        [1, 1, 2 / 3, 2 / 3, 0, 0]
    )


def test_undefined_numbers_are_absent_and_not_minus_one():
    # 10x10 is small; no medium or large object, none of class "cat"
    truth, detections = {0: objects((0, 0, 0, 10, 10))}, {0: found((0.9, 1, 0, 0, 10, 10))}
    result = coco_metrics(truth, detections, ["dog", "cat"])
    assert set(STATS) - set(result.stats) == {"APmedium", "APlarge", "ARmedium", "ARlarge"}
    assert result.per_class == {"dog": {"AP": 0.0, "AP50": 0.0, "APsmall": 0.0}}
    assert list(result.pr_curves.columns) == ["recall", "mean", "dog"]


def test_no_detection_at_all_is_zero():
    truth = {0: objects((0, 0, 0, 10, 10)), 1: objects()}
    nothing = {0: found(), 1: found()}
    result = coco_metrics(truth, nothing, ["thing"])
    assert result.stats["AP"] == result.stats["AP50"] == result.stats["AR100"] == 0
    assert average_precision(truth, nothing, 1) == {"AP": 0, "AP50": 0}


def test_perfect_detections_give_one():
    truth, _ = random_case(1)
    detections = {
        image_id: Detections(
            boxes_xyxy=objects.boxes_xyxy.astype(np.float32),
            scores=np.linspace(0.9, 0.5, len(objects), dtype=np.float32),
            class_ids=objects.class_ids,
        )
        for image_id, objects in truth.items()
    }
    result = coco_metrics(truth, detections, ["a", "b", "c"])
    assert result.stats["AP"] == result.stats["AR100"] == pytest.approx(1.0)


def test_equal_to_pycocotools_from_files(tmp_path, capsys):
    truth, detections = random_case(2)
    result = coco_metrics(truth, detections, ["a", "b", "c"])
    assert capsys.readouterr().out == ""
    expected = pycocotools_from_files(truth, detections, 3, tmp_path)
    assert result.stats == {
        name: pytest.approx(value, abs=1e-12)
        for name, value in zip(STATS, expected, strict=True)
        if value >= 0
    }
    quick = average_precision(truth, detections, 3)
    assert quick == {
        "AP": pytest.approx(expected[0], abs=1e-12),
        "AP50": pytest.approx(expected[1], abs=1e-12),
    }
    per_class = result.per_class.values()
    assert np.mean([values["AP"] for values in per_class]) == pytest.approx(expected[0])
    assert result.pr_curves["mean"].mean() == pytest.approx(expected[1])


def test_the_order_of_the_images_does_not_matter():
    truth, detections = random_case(3)
    backwards = dict(reversed(truth.items())), dict(sorted(detections.items()))
    one = coco_metrics(truth, detections, ["a", "b", "c"])
    other = coco_metrics(*backwards, ["a", "b", "c"])
    assert (one.stats, one.per_class) == (other.stats, other.per_class)


def test_a_class_named_like_a_column_keeps_its_own():
    truth = {0: objects((0, 0, 0, 50, 50), (1, 60, 60, 90, 90))}
    result = coco_metrics(truth, {0: found((0.9, 0, 0, 0, 50, 50))}, ["recall", "mean"])
    assert list(result.pr_curves.columns) == ["recall", "mean", "recall (class)", "mean (class)"]
    assert result.pr_curves["recall (class)"].tolist() == pytest.approx([1] * 101)
    assert result.pr_curves["mean"].tolist() == pytest.approx([0.5] * 101)


def test_ground_truth_is_in_pixels_with_images_without_objects():
    tables = make_tables(
        [("val", 99, 99, []), ("test", 200, 100, [(1, 10, 20, 50, 80)]), ("test", 50, 50, [])],
        ["a", "b"],
    )
    truth = ground_truth(tables, "test")
    assert list(truth) == [1, 2]
    assert truth[1].boxes_xyxy == pytest.approx(np.array([[10.0, 20, 50, 80]]))
    assert truth[1].class_ids.tolist() == [1]
    assert truth[2].boxes_xyxy.shape == (0, 4)
    with pytest.raises(ValueError, match=r"no images in split 'train' \(it has: val, test\)"):
        ground_truth(tables, "train")
    with pytest.raises(ValueError, match="none of the 1 images of split 'val' has an object"):
        ground_truth(tables, "val")


def pycocotools_from_files(truth, detections, classes, folder):
    """The twelve numbers as a COCO user gets them: two JSON files and pycocotools' own loader."""
    annotations, results = [], []
    for image_id in sorted(truth):
        for class_id, (x1, y1, x2, y2) in zip(
            truth[image_id].class_ids.tolist(), truth[image_id].boxes_xyxy.tolist(), strict=True
        ):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": class_id + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                }
            )
        image = detections[image_id]
        for score, class_id, (x1, y1, x2, y2) in zip(
            image.scores.tolist(), image.class_ids.tolist(), image.boxes_xyxy.tolist(), strict=True
        ):
            results.append(
                {
                    "image_id": image_id,
                    "category_id": class_id + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "score": score,
                }
            )
    dataset = {
        "images": [{"id": image_id} for image_id in truth],
        "categories": [{"id": class_id + 1} for class_id in range(classes)],
        "annotations": annotations,
        "info": {},
    }
    (folder / "truth.json").write_text(json.dumps(dataset))
    (folder / "results.json").write_text(json.dumps(results))
    return pycocotools_from(folder / "truth.json", folder / "results.json")


def pycocotools_from(truth, results):
    """The twelve numbers of two JSON files by pycocotools' own loader, -1 where undefined."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(truth))
        coco.dataset.setdefault("info", {})
        evaluator = COCOeval(coco, coco.loadRes(str(results)), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator.stats.tolist()
