"""The whole report, where it is hardest to draw."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.tables import make_tables
from yolov2.config.evaluate import EvaluateConfig
from yolov2.detection.detections import Detections
from yolov2.evaluation.annotated import annotated_images
from yolov2.evaluation.evaluate import evaluate_detections
from yolov2.evaluation.report.files import write_report

LONG = "a very long name of a class that has no end and costs $5 or $6"


def case(classes, found):
    """Three images, an object of every class in the first; a share of the objects is found."""
    boxes = [(k, 3.0 * k, 5.0, 3.0 * k + 40, 60.0) for k in range(classes)]
    names = [f"{LONG} {k}" for k in range(classes)]
    tables = make_tables(
        [("test", 400, 300, boxes), ("test", 80, 80, []), ("val", 9, 9, [])], names
    )
    annotated = annotated_images(tables, "test", None)
    detections = {}
    for image_id, objects in annotated.truth.items():
        take = slice(0, int(found * len(objects)))
        count = len(objects.class_ids[take])
        detections[image_id] = Detections(
            boxes_xyxy=objects.boxes_xyxy[take].astype(np.float32),
            scores=np.linspace(0.9, 0.1, count, dtype=np.float32),
            class_ids=objects.class_ids[take],
        )
    return annotated, detections


@pytest.mark.parametrize(("classes", "found"), [(1, 1.0), (1, 0.0), (80, 0.7)])
def test_any_evaluation_can_be_drawn(tmp_path, classes, found):
    evaluated = evaluate_detections(*case(classes, found), EvaluateConfig(resamples=10))
    write_report(evaluated, tmp_path, pictures=4)
    plots = sorted(path.stem for path in tmp_path.glob("*.png"))
    assert plots == [
        "confidence",
        "confusion",
        "errors",
        "pr_curve",
        "reliability",
        "sizes",
        "slices",
    ]
    for path in tmp_path.glob("*.png"):
        with Image.open(path) as image:
            assert min(image.size) > 300
            # opaque white, to be read on a dark page
            assert image.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)
    images = pd.read_csv(tmp_path / "images.csv")
    assert images["image"].tolist() == (
        ["images/test/0001.png", "images/test/0000.png"]
        if found == 1
        else ["images/test/0000.png", "images/test/0001.png"]
    )
    sizes = pd.read_csv(tmp_path / "sizes.csv")
    assert len(sizes.columns) == 2 + classes
    assert sizes["mean"].isna().tolist() == [True, False, True]  # all objects are medium
    # the image files are not at hand
    assert not (tmp_path / "label_errors.jpg").exists()
    assert list((tmp_path / "images").iterdir()) == []
