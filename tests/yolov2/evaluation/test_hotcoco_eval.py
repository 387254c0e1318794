import contextlib
import io
import sys

import numpy as np
import pytest

from benchmarks.evaluation import random_case
from tests.yolov2.evaluation.cases import hard_case
from yolov2.detection.detections import Detections, GroundTruth
from yolov2.evaluation import hotcoco_eval, pycocotools_eval
from yolov2.evaluation.confusion import MATCH_SCORE, confusion_matrix
from yolov2.evaluation.figures import stats_by_name
from yolov2.evaluation.score import average_precision


@pytest.mark.parametrize("seed", range(8))
def test_hotcoco_gives_the_very_bits_of_pycocotools(seed):
    truth, detections = hard_case(seed)
    require_equal_bits(truth, detections, 4)
    quick = hotcoco_eval.average_precision(truth, detections, 4)
    assert quick == pycocotools_eval.average_precision(truth, detections, 4)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["crowds and gaps in ids", "half a million detections"])
def test_and_so_at_the_size_of_coco(case):
    """5,000 images and 80 classes, as in val2017."""
    hard = case.startswith("crowds")
    size = {"images": 5000, "classes": 80}
    truth, detections = hard_case(9, **size) if hard else random_case(**size, detections=500_000)
    require_equal_bits(truth, detections, 80)


def require_equal_bits(truth, detections, classes):
    """Fail unless both have the same curves and the same twelve numbers."""
    theirs = pycocotools_eval._evaluator(truth, detections, classes)
    with contextlib.redirect_stdout(io.StringIO()):
        theirs.evaluate()
        theirs.accumulate()
        theirs.summarize()
    ours = hotcoco_eval.evaluator(truth, detections, classes)
    ours.evaluate()
    ours.accumulate()
    for name in ("precision", "recall", "scores"):
        assert np.array_equal(np.asarray(ours.eval[name]), theirs.eval[name]), name
    assert hotcoco_eval.twelve_numbers(ours) == stats_by_name(theirs.stats)


@pytest.mark.parametrize("judge", [pycocotools_eval, hotcoco_eval])
@pytest.mark.parametrize(("place", "precision"), [(99, 1 / 100), (100, 0)])
def test_of_equal_scores_the_first_hundred_count(judge, place, precision):
    """COCO's limit of 100 cuts by score, then by the order of the detections."""
    boxes = np.full((150, 4), [50.0, 50, 60, 60])
    boxes[place] = [0, 0, 10, 10]
    zeros = np.zeros(150, dtype=np.int64)
    truth = {7: GroundTruth(boxes_xyxy=boxes[place : place + 1], class_ids=zeros[:1])}
    found = {7: Detections(boxes_xyxy=boxes, scores=np.full(150, 0.5), class_ids=zeros)}
    assert judge.average_precision(truth, found, 1)["AP50"] == pytest.approx(precision)


def test_hotcoco_prints_nothing(capfd):
    judge = hotcoco_eval.evaluator(*hard_case(0), 4)
    judge.evaluate()
    hotcoco_eval.twelve_numbers(judge)
    assert capfd.readouterr().out == ""


def test_training_scores_by_pycocotools_where_hotcoco_is_not_installed(monkeypatch):
    truth, detections = hard_case(3)
    by_hotcoco = average_precision(truth, detections, 4)
    monkeypatch.setitem(sys.modules, "hotcoco", None)
    assert average_precision(truth, detections, 4) == by_hotcoco
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(ValueError, match="neither is installed: pip install hotcoco"):
        average_precision(truth, detections, 4)


def test_confusion_is_that_of_hotcoco_where_there_is_no_crowd():
    truth, detections = hard_case(5)
    for objects in truth.values():
        objects.crowd[:] = False
    above = float(np.nextafter(np.float32(MATCH_SCORE), np.float32(1)))
    theirs = hotcoco_eval.evaluator(truth, detections, 4).confusion_matrix(
        iou_thr=0.5, min_score=above
    )
    assert confusion_matrix(truth, detections, 4).tolist() == theirs["matrix"].tolist()
