"""What is read from the tables is what was measured, whatever the classes are called."""

import numpy as np

from benchmarks.evaluation import random_case
from tests.tables import make_tables
from yolov2.config.evaluate import EvaluateConfig
from yolov2.evaluation.annotated import AnnotatedImages
from yolov2.evaluation.detections_file import NAME, detections_of
from yolov2.evaluation.diagnosis import label_errors
from yolov2.evaluation.evaluate import evaluate_detections
from yolov2.evaluation.report.reading import (
    read_best_thresholds,
    read_confusion,
    read_image_scores,
    read_label_errors,
)
from yolov2.evaluation.report.tables import write_tables
from yolov2.evaluation.thresholds import best_thresholds

NAMES = ("background", "NA", "1", "a, \"b\" or '$c$'")


def test_tables_say_what_was_measured(tmp_path):
    truth, detections = random_case(40, 4, 800)
    images = make_tables([("test", 640, 640, [(0, 0, 0, 9, 9)])] * len(truth), NAMES).images
    annotated = AnnotatedImages(
        split="test",
        class_names=NAMES,
        truth=truth,
        images=images.assign(image_id=sorted(truth))[["image_id", "image", "width", "height"]],
        root=None,
        digest="d",
        category_ids=(0, 1, 2, 3),
    )
    evaluated = evaluate_detections(annotated, detections, EvaluateConfig(resamples=0))
    write_tables(evaluated, tmp_path)
    evaluation = evaluated.evaluation
    confusion = read_confusion(tmp_path / "confusion.csv", NAMES)
    assert np.array_equal(confusion, evaluation.confusion)
    assert read_image_scores(tmp_path / "images.csv") == evaluation.image_scores
    best = best_thresholds(evaluation.matches, NAMES)
    assert read_best_thresholds(tmp_path / "best_thresholds.csv") == best
    found = detections_of(tmp_path / NAME, annotated)
    suspected = label_errors(evaluation.judge, truth, detections)
    assert {one.kind for one in suspected} == {"missing annotation", "wrong class"}
    assert read_label_errors(tmp_path / "label_errors.csv", annotated, found) == suspected
