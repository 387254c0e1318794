import numpy as np
import pytest
from PIL import Image

from yolov2.detection.detections import Detections, GroundTruth
from yolov2.detection.draw import (
    class_colour,
    draw_comparison,
    draw_detections,
    draw_ground_truth,
)

NAMES = ["cat", "dog"]


def detections(*rows):
    """Rows score, class, x1, y1, x2, y2."""
    table = np.array(rows).reshape(-1, 6)
    return Detections(
        boxes_xyxy=table[:, 2:].astype(np.float32),
        scores=table[:, 0].astype(np.float32),
        class_ids=table[:, 1].astype(np.int64),
    )


def test_colours_differ_and_can_be_seen_on_white():
    colours = np.array([class_colour(i) for i in range(80)])
    assert len(np.unique(colours, axis=0)) == 80
    assert ((colours >= 0) & (colours <= 255)).all()
    assert (colours @ [0.299, 0.587, 0.114]).max() < 152
    steps = np.abs(np.diff(colours, axis=0)).sum(axis=1)
    assert steps.min() > 100  # neighbours in the list are never alike


def test_a_box_is_outlined_in_its_class_colour_and_the_image_stays():
    image = Image.new("RGB", (300, 200), "white")
    picture = draw_detections(image, detections((0.9, 1, 50, 60, 150, 160)), NAMES)
    assert picture.size == (300, 200)
    for x, y in ((50, 110), (149, 110), (100, 159)):  # left, right and lower edge
        assert picture.getpixel((x, y)) == class_colour(1)
    assert picture.getpixel((100, 110)) == (255, 255, 255)
    assert image.getcolors() == [(300 * 200, (255, 255, 255))]


def test_the_label_stays_in_the_picture_at_every_edge():
    image = Image.new("RGB", (120, 90), "white")
    boxes = [(0.9, 0, 0, 0, 20, 20), (0.8, 0, 110, 0, 120, 10), (0.7, 0, 0, 80, 10, 90)]
    for box in boxes:
        pixels = np.asarray(draw_detections(image, detections(box), NAMES))
        patch = (pixels == class_colour(0)).all(axis=-1)
        # about 45x12 pixels of patch with ink in it, not only the outline of the box
        assert patch.sum() > 200


def test_the_best_detection_is_drawn_on_top():
    image = Image.new("RGB", (300, 200), "white")
    best, other = (0.9, 1, 100, 100, 200, 180), (0.3, 0, 100, 100, 200, 180)
    picture = draw_detections(image, detections(best, other), NAMES)
    assert picture.getpixel((100, 150)) == class_colour(1)


@pytest.mark.parametrize("size", [(32, 32), (640, 480), (48, 900)])
def test_comparison_shows_both_halves_enlarged(size):
    image = Image.new("RGB", size, "white")
    width, height = size
    box = [0.25 * width, 0.25 * height, 0.75 * width, 0.75 * height]
    truth = GroundTruth(boxes_xyxy=np.array([box]), class_ids=np.array([0]))
    found = detections((0.8, 1, *box))
    picture = draw_comparison(image, truth, found, NAMES, "0001.png")
    scale = 480 / max(size)
    panel = round(width * scale), round(height * scale)
    assert picture.size == (2 * panel[0] + 3 * 8, panel[1] + 48 + 8)
    left = 8 + round(0.25 * panel[0]), 48 + round(0.5 * panel[1])
    right = left[0] + panel[0] + 8, left[1]
    assert picture.getpixel(left) == class_colour(0)
    assert picture.getpixel(right) == class_colour(1)


def test_an_image_without_boxes_is_a_copy():
    image = Image.new("RGB", (40, 30), "teal")
    nothing = GroundTruth(boxes_xyxy=np.zeros((0, 4)), class_ids=np.zeros(0, dtype=np.int64))
    picture = draw_ground_truth(image, nothing, NAMES)
    assert picture is not image
    assert picture.tobytes() == image.tobytes()
