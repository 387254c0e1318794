import contextlib
import io
import sys

import numpy as np
import pytest

from benchmarks.evaluation import random_case
from tests.tables import make_tables
from tests.yolov2.evaluation.cases import hard_case
from yolov2.config.evaluate import EvaluateConfig
from yolov2.detection.detections import Detections, GroundTruth
from yolov2.evaluation import hotcoco_eval, pycocotools_eval
from yolov2.evaluation.annotated import annotated_images
from yolov2.evaluation.confusion import confusion_matrix
from yolov2.evaluation.diagnosis import calibration
from yolov2.evaluation.evaluate import evaluate_detections
from yolov2.evaluation.figures import stats_by_name
from yolov2.evaluation.matches import match
from yolov2.evaluation.report.files import write_report
from yolov2.evaluation.rows import CALIBRATION_SCORE, MATCH_SCORE
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


@pytest.mark.parametrize("seed", range(4))
def test_one_judge_answers_as_those_made_for_one_question(seed):
    """Types of error, label errors and parts of the images, whether or not it has the sizes."""
    truth, detections = hard_case(seed)
    parts = {
        "first": list(range(len(truth) // 2)),
        "rest": list(range(len(truth) // 2, len(truth))),
    }
    judges = [
        hotcoco_eval.evaluator(truth, detections, 4),
        hotcoco_eval.matched_judge(truth, detections, 4),
    ]
    judges[0].evaluate()
    whole, quick = (
        (
            judge.tide_errors(pos_thr=0.5),
            judge.image_diagnostics(iou_thr=0.5, score_thr=0.5),
            {k: (part["AP"], part["AP50"]) for k, part in judge.slice_by(parts).items()},
        )
        for judge in judges
    )
    assert whole == quick


@pytest.mark.parametrize("seed", range(8))
def test_calibration_is_hotcoco_s_to_the_last_bit(seed):
    truth, detections = hard_case(seed)
    sure = {i: found.above(CALIBRATION_SCORE) for i, found in detections.items()}
    theirs = hotcoco_eval.matched_judge(truth, sure, 4).calibration(iou_threshold=0.5)
    ours = calibration(match(truth, detections, 4), detections)
    assert (ours.ece, ours.mce) == (theirs["ece"], theirs["mce"])
    names = ("bin_lower", "bin_upper", "avg_confidence", "avg_accuracy", "count")
    for name, column in zip(names, ours.bins.columns, strict=True):
        values = np.array([each[name] for each in theirs["bins"]])
        assert np.array_equal(ours.bins[column].fillna(0), values), column


def test_an_evaluation_builds_one_evaluator(tmp_path, monkeypatch):
    built = []
    build = hotcoco_eval.evaluator
    monkeypatch.setattr(hotcoco_eval, "evaluator", lambda *a: built.append(1) or build(*a))
    tables = make_tables([("test", 9, 9, [(0, 0, 0, 5, 5)])], ["thing"])
    annotated = annotated_images(tables, "test", None)
    nothing = np.zeros(0, dtype=np.float32)
    found = Detections(
        boxes_xyxy=nothing.reshape(0, 4), scores=nothing, class_ids=nothing.astype(np.int64)
    )
    evaluated = evaluate_detections(annotated, {0: found}, EvaluateConfig(resamples=10))
    write_report(evaluated, tmp_path, pictures=2)
    assert built == [1]


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
