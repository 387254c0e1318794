import numpy as np
import pytest
from PIL import Image

from tests.tables import make_tables
from yolov2.detection.detections import Detections
from yolov2.evaluation.annotated import annotated_images
from yolov2.evaluation.diagnosis import calibration, error_types, label_error_table, label_errors
from yolov2.evaluation.hotcoco_eval import matched_judge
from yolov2.evaluation.matches import match
from yolov2.evaluation.report.label_sheet import label_error_sheet
from yolov2.evaluation.slices import brightness, ranges, slice_table

CAT, DOG = 0, 1


def found(*rows):
    """Detections of rows score, class, x1, y1, x2, y2."""
    table = np.array(rows, dtype=float).reshape(-1, 6)
    return Detections(
        boxes_xyxy=table[:, 2:].astype(np.float32),
        scores=table[:, 0].astype(np.float32),
        class_ids=table[:, 1].astype(np.int64),
    )


@pytest.fixture
def case():
    """A found cat, a dog called cat, a dog found badly, and a box where nothing is annotated."""
    tables = make_tables(
        [
            ("test", 100, 100, [(CAT, 0, 0, 10, 10), (DOG, 20, 0, 30, 10), (DOG, 40, 0, 50, 10)]),
            ("test", 400, 100, [(DOG, 0, 0, 50, 50)]),
        ],
        ["cat", "dog"],
    )
    detections = {
        0: found(
            (0.95, CAT, 0, 0, 10, 10),
            (0.92, DOG, 70, 70, 90, 90),
            (0.85, CAT, 20, 0, 30, 10),
            (0.75, DOG, 40, 0, 44, 10),
            (0.35, DOG, 70, 20, 90, 40),
        ),
        1: found((0.65, DOG, 0, 0, 50, 50)),
    }
    annotated = annotated_images(tables, "test", None)
    return annotated, annotated.truth, detections, matched_judge(annotated.truth, detections, 2)


def test_error_types_by_hand(case):
    *_, judge = case
    errors = error_types(judge).set_index("error")
    assert errors["count"].to_dict() == {
        "classification": 1,
        "localisation": 1,
        "class and place": 0,
        "duplicate": 0,
        "background": 2,
        "missed": 0,
    }
    assert (errors["AP50"] >= 0).all()
    assert errors.loc["class and place", "AP50"] == 0


def test_calibration_by_hand(case):
    _, truth, detections, _ = case
    result = calibration(match(truth, detections, 2), detections)
    assert result.bins["detections"].tolist() == [0, 0, 0, 1, 0, 0, 1, 1, 1, 2]
    assert result.bins["precision"].dropna().tolist() == [0, 1, 0, 0, 0.5]
    # per bin the mean score less the share of right ones, times the number of detections
    gaps = (0.35, 1 - 0.65, 0.75, 0.85, 2 * (0.935 - 0.5))
    assert result.ece == pytest.approx(sum(gaps) / 6)
    assert result.mce == pytest.approx(0.85)
    nothing = {image_id: found() for image_id in truth}
    assert calibration(match(truth, nothing, 2), nothing).ece == 0


def test_label_errors_are_confident_contradictions(case):
    annotated, truth, detections, judge = case
    missing, wrong = label_errors(judge, truth, detections)
    assert (missing.kind, missing.annotated, missing.detected) == ("missing annotation", None, DOG)
    assert missing.box_xyxy == pytest.approx((70, 70, 90, 90))
    assert (wrong.kind, wrong.detected, wrong.annotated) == ("wrong class", CAT, DOG)
    assert wrong.box_annotated_xyxy == pytest.approx((20, 0, 30, 10))
    table = label_error_table([missing, wrong], annotated)
    assert table["annotated"].tolist() == ["", "dog"]
    assert table["image"].tolist() == ["images/test/0000.png"] * 2
    sheet = label_error_sheet([missing, wrong], annotated, lambda _: Image.new("RGB", (100, 100)))
    assert sheet.width > 500
    assert label_error_sheet([], annotated, lambda _: Image.new("RGB", (9, 9))).height > 40


def test_slices_cover_every_image_and_are_evaluated_alone(case):
    annotated, _, _, judge = case
    table = slice_table(judge, annotated, {0: 10.0, 1: 200.0})
    for _, part in table.groupby("property"):
        assert part["images"].sum() == 2
        assert part["objects"].sum() == 4
    bright = table.set_index("slice").loc["brightness: 200"]
    assert bright["AP50"] == pytest.approx(1)  # of image 1 alone
    assert "brightness" not in " ".join(slice_table(judge, annotated, None)["slice"])


def test_ranges_keep_equal_values_together():
    parts = dict(ranges(np.array([5.0, 5, 5, 5, 7, 9])))
    assert list(parts) == ["5", "7 to 9"]
    assert parts["5"].tolist() == [True] * 4 + [False] * 2


def test_brightness_of_a_file(tmp_path):
    Image.new("RGB", (500, 300), (128, 128, 128)).save(tmp_path / "grey.png")
    assert brightness(tmp_path / "grey.png") == pytest.approx(128, abs=1)
