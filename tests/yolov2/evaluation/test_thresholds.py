import json

import numpy as np
import pytest

from yolov2.evaluation.matches import ClassMatches, Matches
from yolov2.evaluation.thresholds import best_thresholds, confidence_curves, write_thresholds


def one_class(rows, objects):
    """Matches of rows (score, true, counts), the same at every IoU threshold."""
    scores, true, counts = np.array(rows, dtype=float).reshape(-1, 3).T
    return ClassMatches(
        image=np.zeros(len(scores), dtype=np.int64),
        scores=scores,
        true=np.tile(true.astype(bool), (10, 1)),
        counts=np.tile(counts.astype(bool), (10, 1)),
        objects=np.array([objects]),
    )


def matches():
    """Two of three dogs are found, the second at the score of a false alarm; 0.8 is on a crowd."""
    dog = one_class([(0.9, 1, 1), (0.8, 0, 0), (0.5, 0, 1), (0.5, 1, 1), (0.1, 0, 1)], 3)
    return Matches(images=1, classes=(dog, one_class([(0.7, 0, 1)], 2), one_class([], 0)))


NAMES = ("dog", "never found", "absent")


def test_best_threshold_by_hand():
    best = best_thresholds(matches(), NAMES)
    assert list(best) == ["dog", "never found"]
    # after 0.9: 2*1/(1+3); after both of 0.5: 2*2/(3+3), the best; after 0.1: 2*2/(4+3)
    dog = best["dog"]
    assert (dog.f1, dog.precision, dog.recall) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert dog.threshold == pytest.approx((0.5 + 0.1) / 2)
    assert (best["never found"].threshold, best["never found"].f1) == (0.5, 0)


def test_curves_by_hand():
    curves = confidence_curves(matches(), NAMES)
    table = curves["precision"].set_index("confidence")["dog"]
    # a score equal to the threshold does not count
    assert table.loc[[0.0, 0.2, 0.5, 0.9]].tolist() == pytest.approx([2 / 4, 2 / 3, 1, 1])
    recall = curves["recall"].set_index("confidence")
    assert recall["dog"].loc[[0.0, 0.5, 0.9]].tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert recall["mean"].loc[0.0] == pytest.approx(1 / 3)
    assert list(curves["F1"].columns) == ["confidence", "mean", "dog", "never found"]


def test_file_says_where_the_thresholds_come_from(tmp_path):
    write_thresholds(tmp_path / "t.json", best_thresholds(matches(), NAMES), "val", "0123")
    content = json.loads((tmp_path / "t.json").read_text())
    assert (content["metric"], content["iou"], content["split"]) == ("F1", 0.5, "val")
    assert content["weights"] == "0123"
    assert set(content["classes"]) == {"dog", "never found"}
    assert set(content["classes"]["dog"]) == {"threshold", "f1", "precision", "recall"}
