"""Resampled average precision against pycocotools on images that really are there several times."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from yolov2.detection.detections import Detections, GroundTruth
from yolov2.evaluation.bootstrap import draw_weights, interval, intervals, resampled_ap
from yolov2.evaluation.matches import match
from yolov2.evaluation.pycocotools_eval import coco_metrics

CLASSES = 3
Truth = dict[int, GroundTruth]
Found = dict[int, Detections]


def scenes(images: int, seed: int) -> tuple[Truth, Found]:
    """Objects of three classes and noisy detections of them, none in the first; ids have gaps."""
    rng = np.random.default_rng(seed)
    truth: Truth = {}
    found: Found = {}
    for image_id in range(3, 3 + 2 * images, 2):
        count = int(rng.integers(0, 6)) if truth else 0
        low = rng.uniform(0, 300, (count, 2))
        boxes = np.concatenate((low, low + rng.uniform(10, 90, (count, 2))), axis=1)
        classes = rng.integers(0, CLASSES, count)
        truth[image_id] = GroundTruth(boxes_xyxy=boxes, class_ids=classes)
        source = rng.integers(0, count, 9) if count else np.zeros(0, dtype=np.int64)
        moved = boxes[source] + rng.normal(0, 4, (len(source), 4))
        # all scores differ: which of two equal ones comes first is not defined by COCO
        scores = np.sort(rng.permutation(10_000)[: len(source)] / 10_000)[::-1]
        found[image_id] = Detections(
            boxes_xyxy=np.concatenate(
                (moved[:, :2], np.maximum(moved[:, 2:], moved[:, :2] + 1)), 1
            ),
            scores=scores + image_id * 1e-7,
            class_ids=np.where(rng.random(len(source)) < 0.7, classes[source], 0),
        )
    return truth, found


def repeated(truth: Truth, found: Found, weights: np.ndarray) -> tuple[Truth, Found]:  # type: ignore[type-arg]
    """The images as often as ``weights`` says, each under an id of its own."""
    copies = [
        image_id
        for image_id, times in zip(sorted(truth), weights, strict=True)
        for _ in range(times)
    ]
    return (
        {i: truth[image_id] for i, image_id in enumerate(copies, start=1)},
        {i: found[image_id] for i, image_id in enumerate(copies, start=1)},
    )


def test_resamples_are_those_of_pycocotools_on_repeated_images() -> None:
    truth, found = scenes(images=30, seed=5)
    names = ["a", "b", "c"]
    weights = np.concatenate((np.ones((1, 30), dtype=np.int64), draw_weights(30, 8, seed=1)))
    result = resampled_ap(match(truth, found, CLASSES), weights)
    for row, one in enumerate(weights):
        wanted = coco_metrics(*repeated(truth, found, one), names)
        assert result.ap[row] == pytest.approx(wanted.stats["AP"], abs=1e-12)
        assert result.ap50[row] == pytest.approx(wanted.stats["AP50"], abs=1e-12)
        by_class = [wanted.per_class[name]["AP"] for name in names]
        assert_allclose(result.ap_by_class[row], by_class, atol=1e-12)


def test_class_without_objects_counts_nowhere() -> None:
    truth, found = scenes(images=6, seed=2)
    result = resampled_ap(match(truth, found, CLASSES + 1), np.ones((1, 6), dtype=np.int64))
    assert np.isnan(result.ap_by_class[0, CLASSES])
    assert result.ap[0] == pytest.approx(result.ap_by_class[0, :CLASSES].mean())


def test_resample_without_any_object_is_undefined() -> None:
    truth, found = scenes(images=4, seed=0)
    weights = np.array([[4, 0, 0, 0]])
    assert np.isnan(resampled_ap(match(truth, found, CLASSES), weights).ap[0])


def test_interval_of_two_images_is_their_range() -> None:
    """Of two images, one done perfectly and one missed, a resample has AP 1, 1/2 or 0."""
    box = np.array([[10.0, 10.0, 60.0, 60.0]])
    one = np.zeros(1, dtype=np.int64)
    truth = {i: GroundTruth(boxes_xyxy=box, class_ids=one) for i in (0, 1)}
    found = {
        0: Detections(boxes_xyxy=box, scores=np.array([0.9]), class_ids=one),
        1: Detections(boxes_xyxy=box[:0], scores=np.zeros(0), class_ids=one[:0]),
    }
    # half of the objects at precision 1: recalls 0, 0.01, ..., 0.5 are reached, 51 of 101
    weights = np.array([[2, 0], [1, 1], [0, 2]])
    assert_allclose(resampled_ap(match(truth, found, 1), weights).ap50, [1, 51 / 101, 0])
    assert intervals(truth, found, 1, resamples=200, seed=0)["AP"] == pytest.approx((0.0, 1.0))


def test_interval_leaves_out_what_is_undefined() -> None:
    values = np.append(np.linspace(0, 1, 41), np.nan)
    assert interval(values) == pytest.approx((0.025, 0.975))
    assert all(np.isnan(interval(np.full(3, np.nan))))
