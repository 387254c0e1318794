"""Detection as one uses it in Python: images in, boxes in pixels of those images out."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.yolov2.detection.stand_in import (
    NAMES,
    CentrePixel,
    checkpoint,
    detector,
    encoded,
    grey,
)
from yolov2.config.evaluate import DetectConfig
from yolov2.detection.detect import Detector
from yolov2.detection.detections import Detections
from yolov2.files import file_sha256


def test_boxes_are_in_pixels_of_the_image():
    # 128 x 64 covers rows 16 to 48 of the canvas at half size: the canvas box 22, 27, 42, 37
    # is 44, (27 - 16) * 2, 84, (37 - 16) * 2 in the image
    (found,) = detector()([grey(204)])
    np.testing.assert_allclose(found.boxes_xyxy, [[44, 22, 84, 42]], atol=1e-4)
    np.testing.assert_allclose(found.scores, [0.8], atol=1e-6)
    assert found.class_ids.tolist() == [1], "a box has the likeliest class and no other"
    ((box, score, name),) = found
    assert box == pytest.approx((44, 22, 84, 42))
    assert (score, name) == (pytest.approx(0.8), "größer dog")


def test_every_image_keeps_its_place_through_the_batches(tmp_path):
    grey(179).save(tmp_path / "b.png")
    network = CentrePixel()
    array = np.full((40, 30, 3), 128, dtype=np.uint8)
    images = [grey(255), tmp_path / "b.png", str(tmp_path / "b.png"), encoded(grey(153)), array]
    images.append(grey(102))
    found = detector(network, batch_size=4)(image for image in images)
    assert network.batches == [4, 2]
    scores = [round(float(one.scores.sum()), 3) for one in found]
    assert scores == [1.0, 0.702, 0.702, 0.6, 0.502, 0.0], "102 / 255 is below the threshold"


def test_images_of_other_modes_are_taken_as_rgb():
    alpha = Image.new("RGBA", (64, 64), (255, 0, 0, 10))
    sixteen = Image.new("I;16", (64, 64), 39_321)  # 0.6 of 65,535
    found = detector()([alpha, sixteen])
    assert [one.scores.tolist() for one in found] == [[1.0], [pytest.approx(0.6)]]


def test_an_array_is_taken_in_rgb():
    array = np.zeros((64, 64, 3), dtype=np.uint8)
    array[..., 0] = 204
    (red,), (blue,) = detector()([array]), detector()([array[..., ::-1]])
    assert (len(red), len(blue)) == (1, 0)


@pytest.mark.parametrize(
    ("images", "text"),
    [
        ("a.jpg", "a detector takes a list of images, not one str: detector([image])[0]"),
        (np.zeros((4, 4, 3), np.uint8), "takes a list of images, not one ndarray"),
        ([np.zeros((4, 4), np.uint8)], "must be (height, width, 3) uint8 in RGB, not (4, 4) uint8"),
        ([np.zeros((4, 4, 3))], "in RGB, not (4, 4, 3) float64"),
        ([np.zeros((0, 4, 3), np.uint8)], "in RGB, not (0, 4, 3) uint8"),
        ([b""], "image: empty (0 bytes)"),
        (["nowhere.jpg"], "nowhere.jpg: no such image file"),
    ],
)
def test_what_is_no_image_is_refused(images, text):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        detector()(images)
    assert text in str(caught.value)


def test_only_wanted_classes_are_found():
    assert [len(detector(classes=(name,))([grey(255)])[0]) for name in ("cat", "größer dog")] == [
        0,
        1,
    ]
    (by_number,) = detector(classes=("1", "0"), conf_threshold=0.9)([grey(255)])
    assert by_number.names == ["größer dog"]


def test_a_threshold_of_ones_own_overrides_the_model_files():
    dim = [grey(102)]  # 0.4
    assert [len(detector(conf_threshold=each)(dim)[0]) for each in (None, 0.3)] == [0, 1]


def test_detections_tell_themselves():
    found = Detections(
        boxes_xyxy=np.arange(28, dtype=np.float32).reshape(7, 4),
        scores=np.linspace(0.9, 0.3, 7, dtype=np.float32),
        class_ids=np.array([1, 0, 0, 0, 0, 0, 0]),
        class_names=NAMES,
    )
    assert repr(found) == (
        "<7 detections: größer dog 0.90 [0 1 2 3], cat 0.80 [4 5 6 7], cat 0.70 [8 9 10 11],"
        " cat 0.60 [12 13 14 15], cat 0.50 [16 17 18 19], 2 more>"
    )
    assert repr(found.above(0.85)) == "<1 detection: größer dog 0.90 [0 1 2 3]>"
    assert repr(found.above(0.95)) == "<0 detections>"
    table = found.to_pandas()
    assert table.columns.tolist() == ["class_id", "class_name", "score", "x1", "y1", "x2", "y2"]
    assert table.iloc[1].tolist() == [0, "cat", pytest.approx(0.8), 4, 5, 6, 7]
    assert len(found.above(0.95).to_pandas()) == 0
    nameless = Detections(
        boxes_xyxy=found.boxes_xyxy, scores=found.scores, class_ids=found.class_ids
    )
    assert nameless.names[:2] == ["1", "0"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("weights"))


def test_a_checkpoint_detects_at_any_size_of_the_grid(weights):
    sizes = []
    for size in (None, 96):
        config = DetectConfig(conf_threshold=0.0, nms_threshold=1.0, image_size=size)
        loaded = Detector.load(weights, "cpu", config)
        sizes.append((loaded.image_size, len(loaded([grey(99)])[0])))
    # 128 x 64 leaves margins of the canvas without boxes: at most all cells
    assert [side for side, _ in sizes] == [64, 96]
    assert 0 < sizes[0][1] <= 4 < sizes[1][1] <= 9


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"classes": ("owl", "0", "9")}, "the model knows no class 'owl', '9'; it knows 0 cat, 1"),
        ({"image_size": 100}, "image_size must be a multiple of 32, 64 or more, not 100"),
        ({"conf_threshold": 1.5}, "conf_threshold must be between 0 and 1, not 1.5"),
    ],
)
def test_settings_that_make_no_sense(weights, config, text):
    with pytest.raises(ValueError, match=text):
        Detector.load(weights, "cpu", DetectConfig(**config))


def write_thresholds(path: Path, weights: str | None, **classes: float) -> Path:
    entries = {name: {"threshold": threshold} for name, threshold in classes.items()}
    path.write_text(json.dumps({"classes": entries, "weights": weights}))
    return path


def test_a_checkpoint_takes_the_thresholds_beside_it_that_were_found_with_it(tmp_path):
    weights = checkpoint(tmp_path)
    assert Detector.load(weights, "cpu").thresholds == (0.5, 0.5)
    beside = tmp_path / "thresholds.json"
    for told in (file_sha256(weights), None):
        write_thresholds(beside, told, cat=0.125)
        loaded = Detector.load(weights, "cpu")
        assert (loaded.thresholds, loaded.thresholds_file) == ((0.125, 0.5), beside)
    write_thresholds(beside, "of other weights", cat=0.125)
    loaded = Detector.load(weights, "cpu")
    assert (loaded.thresholds, loaded.thresholds_file) == ((0.5, 0.5), None)
    own = write_thresholds(tmp_path / "own.json", "of other weights", cat=0.25)
    assert Detector.load(weights, "cpu", thresholds=own).thresholds == (0.25, 0.5)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("[", "holds no thresholds as `yolov2 evaluate --split val` writes them (JSONDecodeError"),
        ("[]", "holds no thresholds as `yolov2 evaluate --split val` writes them (no object)"),
        ("{}", "writes them (KeyError('classes'))"),
        ('{"classes": {"cat": {"threshold": NaN}}}', "(cat: nan is not between 0 and 1)"),
        ('{"classes": {"cow": {"threshold": 0.1}}}',
         "thresholds.json: the thresholds are of another model: it has no class cow"),
    ],
)  # fmt: skip
def test_thresholds_that_are_none(tmp_path, content, text):
    weights = checkpoint(tmp_path)
    (tmp_path / "thresholds.json").write_text(content)
    with pytest.raises(ValueError, match=r"^.*/thresholds\.json") as error:
        Detector.load(weights, "cpu")
    assert text in str(error.value)
