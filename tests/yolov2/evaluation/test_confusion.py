import numpy as np
import pandas as pd
import pytest

from yolov2.detection.detections import Detections, GroundTruth
from yolov2.evaluation.confusion import (
    ImageScore,
    box_iou,
    confusion_matrix,
    confusion_samples,
    image_scores,
    image_table,
)

CAT, DOG = 0, 1


def case():
    """Image 7: a cat found, a dog called cat, a dog missed, and three false alarms; image 8: none.

    The second detection of the cat is a false alarm, and so is the weak one, which does not count.
    """
    truth = GroundTruth(
        boxes_xyxy=np.array([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]]),
        class_ids=np.array([CAT, DOG, DOG]),
    )
    rows = [  # score, class, x1, y1, x2, y2
        (0.9, CAT, 0, 0, 10, 8),  # IoU 0.8 with the cat
        (0.8, CAT, 0, 0, 10, 10),  # IoU 1 with the cat, which is taken
        (0.7, CAT, 20, 0, 30, 10),  # on the first dog
        (0.6, DOG, 40, 0, 44, 10),  # IoU 0.4 with the second dog
        (0.25, DOG, 40, 0, 50, 10),  # not above the threshold
    ]
    table = np.array(rows)
    detections = Detections(
        boxes_xyxy=table[:, 2:].astype(np.float32),
        scores=table[:, 0].astype(np.float32),
        class_ids=table[:, 1].astype(np.int64),
    )
    empty = np.zeros((0, 4))
    nothing = GroundTruth(boxes_xyxy=empty, class_ids=np.zeros(0, dtype=np.int64))
    silent = Detections(
        boxes_xyxy=empty.astype(np.float32),
        scores=np.zeros(0, np.float32),
        class_ids=np.zeros(0, dtype=np.int64),
    )
    return {7: truth, 8: nothing}, {7: detections, 8: silent}


def test_images_come_worst_first():
    truth, detections = case()
    images = pd.DataFrame(
        {
            "image_id": [8, 7],
            "image": ["8.png", "7.png"],
            "width": [64, 128],
            "height": [32, 96],
        }
    )
    table = image_table(image_scores(truth, detections), images)
    assert table.columns.tolist() == [
        *("image", "image_id", "width", "height", "objects", "TP", "FP", "FN", "F1", "threshold")
    ]
    # found 1 of 3 objects, 3 false alarms: F1 is 2 / (2 + 2 + 3)
    assert table.values.tolist() == [
        ["7.png", 7, 128, 96, 3, 1, 3, 2, 0.285714, 0.25],
        ["8.png", 8, 64, 32, 0, 0, 0, 0, 1.0, 0.25],
    ]


def test_confusion_matrix_by_hand():
    truth, detections = case()
    assert confusion_matrix(truth, detections, 2).tolist() == [
        # cat dog background
        [1, 0, 0],  # the cat
        [1, 0, 1],  # the dogs
        [1, 1, 0],  # false alarms
    ]


def test_confusion_samples_have_a_row_for_each_count():
    truth, detections = case()
    samples = confusion_samples(confusion_matrix(truth, detections, 2), ["cat", "dog"])
    assert samples.to_numpy().tolist() == [
        ["cat", "cat"],
        ["dog", "cat"],
        ["dog", "background"],
        ["background", "cat"],
        ["background", "dog"],
    ]


def test_image_scores_count_the_class_and_come_best_first():
    truth, detections = case()
    best, worst = image_scores(truth, detections)
    assert best == ImageScore(image_id=8, found=0, missed=0, false=0)
    assert best.f1 == 1
    assert worst == ImageScore(image_id=7, found=1, missed=2, false=3)
    assert worst.f1 == pytest.approx(2 / 7)  # 2 TP / (2 TP + FN + FP)


def test_iou_by_hand():
    one = np.array([[0, 0, 4, 2]])  # left, top, width, height
    other = np.array([[2, 0, 4, 2], [0, 0, 4, 2], [4, 0, 1, 5], [1, 1, 0, 0]])
    assert box_iou(one, other) == pytest.approx(np.array([[4 / 12, 1, 0, 0]]))
    assert box_iou(other[3:], other[3:]).tolist() == [[0]]  # nothing in nothing
    assert box_iou(one, np.zeros((0, 4))).shape == (1, 0)


def test_a_detection_in_a_crowd_of_its_class_is_neither_right_nor_wrong():
    truth = GroundTruth(
        boxes_xyxy=np.array([[0.0, 0, 100, 100], [200, 0, 210, 10]]),
        class_ids=np.array([CAT, CAT]),
        crowd=np.array([True, False]),
    )
    table = np.array([(0.9, CAT, 10, 10, 30, 30), (0.8, DOG, 10, 10, 30, 30)])
    found = Detections(
        boxes_xyxy=table[:, 2:].astype(np.float32),
        scores=table[:, 0].astype(np.float32),
        class_ids=table[:, 1].astype(np.int64),
    )
    # the cat lies in the crowd; the dog there is false, and the one real cat is missed
    assert confusion_matrix({1: truth}, {1: found}, 2).tolist() == [[0, 0, 1], [0, 0, 0], [0, 1, 0]]
    (score,) = image_scores({1: truth}, {1: found})
    assert score == ImageScore(image_id=1, found=0, missed=1, false=1)
