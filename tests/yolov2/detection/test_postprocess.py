import numpy as np
import pytest
import torch

from yolov2.boxes import Letterbox
from yolov2.detection.postprocess import postprocess

SQUARE = Letterbox(width=640, height=640, side=640)
DEFAULTS = {"conf_threshold": 0.1, "nms_threshold": 0.5, "max_detections": 100}


def predictions(*rows):
    """Decoded (1, N, 5+C) of one image from rows x1, y1, x2, y2, objectness, classes."""
    table = torch.tensor([rows], dtype=torch.float32)
    x1, y1, x2, y2 = table[..., :4].unbind(-1)
    boxes = torch.stack(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1), dim=-1)
    return torch.cat((boxes, table[..., 4:]), dim=-1)


def run(decoded, letterboxes=(SQUARE,), **changes):
    return postprocess(decoded, letterboxes, **(DEFAULTS | changes))


def test_nms_within_a_class_by_hand():
    # IoU with the first: 80/100 = 0.8, 40/100 = 0.4, 0
    (found,) = run(
        predictions(
            (0, 0, 10, 8, 0.8, 1, 0),
            (0, 0, 10, 10, 0.9, 1, 0),
            (0, 0, 10, 4, 0.5, 1, 0),
            (50, 50, 60, 60, 0.7, 1, 0),
        )
    )
    assert found.boxes_xyxy.tolist() == [[0, 0, 10, 10], [50, 50, 60, 60], [0, 0, 10, 4]]
    assert found.scores == pytest.approx([0.9, 0.7, 0.5])
    assert found.class_ids.tolist() == [0, 0, 0]


def test_score_is_objectness_times_class_and_the_threshold_itself_is_not_enough():
    rows = [(0, 0, 10, 10, 0.5, 0.5, 0.25), (20, 20, 30, 30, 0.5, 0.0, 1.0)]
    (found,) = run(predictions(*rows), conf_threshold=0.25)
    assert found.scores.tolist() == [0.5]
    assert found.class_ids.tolist() == [1]


def test_each_class_may_have_its_own_threshold():
    rows = [(0, 0, 10, 10, 0.5, 1, 0.0), (20, 20, 30, 30, 0.5, 0.0, 1), (0, 0, 9, 4, 0.3, 0, 1)]
    (found,) = run(predictions(*rows), conf_threshold=(0.5, 0.4))
    assert found.boxes_xyxy.tolist() == [[20, 20, 30, 30]]
    with pytest.raises(ValueError, match="3 confidence thresholds for 2 classes: give one for all"):
        run(predictions(*rows), conf_threshold=[0.1, 0.1, 0.1])


@pytest.mark.parametrize("wanted", [3, 40])
def test_few_candidates_first_give_what_all_of_them_give(monkeypatch, wanted):
    """All on one spot of 64 pixels: far more boxes are suppressed than survive."""
    torch.manual_seed(3)
    decoded = torch.rand(3, 500, 5 + 4)
    decoded[..., :2] = 32 + 9 * decoded[..., :2]
    decoded[..., 2:4] = 8 + 22 * decoded[..., 2:4]
    square = [Letterbox(width=64, height=64, side=64)] * 3
    few = run(decoded, square, max_detections=wanted)
    monkeypatch.setattr("yolov2.detection.postprocess.FIRST_CANDIDATES", 30_000)
    for one, other in zip(few, run(decoded, square, max_detections=wanted), strict=True):
        assert len(one) == len(other) <= wanted
        assert one.scores.tolist() == other.scores.tolist()
        assert one.boxes_xyxy.tolist() == other.boxes_xyxy.tolist()


def test_a_box_counts_for_several_classes_only_when_asked():
    decoded = predictions((0, 0, 10, 10, 1.0, 0.6, 0.8))
    (several,) = run(decoded, multi_label=True)
    (one,) = run(decoded, multi_label=False)
    assert several.class_ids.tolist() == [1, 0]
    assert one.class_ids.tolist() == [1]


def test_other_classes_and_other_images_do_not_suppress_even_from_far_outside():
    # torchvision moves class 1 by the greatest coordinate + 1 = 601: without care its wide box
    # would become (0, 0, 701, 701), of IoU 600^2 / 701^2 = 0.73 with the box of class 0
    inner, wide = (0, 0, 600, 600, 0.9), (-601, -601, 100, 100, 0.8)
    (found,) = run(predictions((*inner, 1, 0), (*wide, 0, 1)))
    assert found.class_ids.tolist() == [0, 1]
    first, second = run(
        torch.cat((predictions((*inner, 1, 0)), predictions((*wide, 1, 0)))), [SQUARE, SQUARE]
    )
    assert (len(first), len(second)) == (1, 1)


def test_boxes_return_to_the_image_and_are_clipped():
    # 100x50 on 64: covered 64x32 from row 16; one canvas pixel is 100/64 = 50/32 image pixels
    letterbox = Letterbox(width=100, height=50, side=64)
    (found,) = run(
        predictions((24, 28, 40, 36, 0.9, 1), (-10, 10, 16, 20, 0.8, 1), (0, 0, 64, 16, 0.7, 1)),
        [letterbox],
    )
    # the third lies in the grey margin above the image: nothing of it is left
    assert found.boxes_xyxy.tolist() == [[37.5, 18.75, 62.5, 31.25], [0, 0, 25, 6.25]]


def test_letterboxed_boxes_round_trip():
    random = np.random.default_rng(0)
    for width, height in ((640, 480), (333, 500), (97, 31), (3000, 17)):
        letterbox = Letterbox(width=width, height=height, side=416)
        centre, size = random.uniform(0.3, 0.7, (6, 2)), random.uniform(0.05, 0.5, (6, 2))
        canvas = letterbox.normalised_to_canvas(np.concatenate((centre, size), axis=1)) * 416
        tail = np.linspace(0.9, 0.4, 6)[:, None] * np.array([[1.0, 0.0]]) + np.array([[0.0, 1.0]])
        decoded = torch.from_numpy(np.concatenate((canvas, tail), axis=1))[None]
        (found,) = run(decoded, [letterbox], nms_threshold=1.0)
        expected = np.concatenate((centre - size / 2, centre + size / 2), axis=1)
        pixels = expected * np.array([width, height, width, height])
        assert found.boxes_xyxy == pytest.approx(pixels, abs=1e-5 * max(width, height))


def test_only_the_best_of_an_image_stay_over_all_classes():
    rows = [(20 * i, 0, 20 * i + 10, 10, 0.9 - 0.1 * i, i % 2, 1 - i % 2) for i in range(5)]
    (found,) = run(predictions(*rows), max_detections=3)
    assert found.scores == pytest.approx([0.9, 0.8, 0.7])
    assert found.class_ids.tolist() == [1, 0, 1]


def test_the_candidate_limit_keeps_the_best_scores(monkeypatch):
    monkeypatch.setattr("yolov2.detection.postprocess.MAX_CANDIDATES", 2)
    rows = [(20 * i, 0, 20 * i + 10, 10, score, 1, 0) for i, score in enumerate((0.3, 0.9, 0.6))]
    (found,) = run(predictions(*rows))
    assert found.scores == pytest.approx([0.9, 0.6])


def test_nothing_found_is_empty_arrays_of_the_right_shape():
    (found,) = run(predictions((0, 0, 10, 10, 0.01, 1, 0)))
    assert found.boxes_xyxy.shape == (0, 4)
    assert found.scores.shape == found.class_ids.shape == (0,)
    assert str(found.boxes_xyxy.dtype) == "float32"
    assert str(found.class_ids.dtype) == "int64"


def test_nan_is_an_error_and_not_an_empty_image():
    with pytest.raises(ValueError, match="NaN or infinite values: its weights are broken"):
        run(predictions((0, 0, 10, 10, float("nan"), 1, 0)))


@pytest.mark.parametrize("boxes", [40, 400])  # torchvision has two ways, by number of boxes
def test_a_batch_equals_plain_python(boxes):
    torch.manual_seed(0)
    letterboxes = [
        Letterbox(width=640, height=480, side=64),
        Letterbox(width=30, height=90, side=64),
        Letterbox(width=64, height=64, side=64),
    ]
    decoded = torch.rand(3, boxes, 5 + 2)
    decoded[..., :2] *= 64
    decoded[..., 2:4] *= 30
    found = run(decoded, letterboxes, max_detections=50)
    for image in range(3):
        expected = plain_nms(decoded[image].tolist(), letterboxes[image])[:50]
        assert len(found[image]) == len(expected)
        actual = zip(
            found[image].scores.tolist(),
            found[image].class_ids.tolist(),
            found[image].boxes_xyxy.tolist(),
            strict=True,
        )
        for (score, class_id, box), (want, want_class, want_box) in zip(
            actual, expected, strict=True
        ):
            assert (score, class_id) == (pytest.approx(want), want_class)
            assert box == pytest.approx(want_box, abs=1e-3)


@pytest.mark.gpu
def test_the_gpu_gives_what_the_cpu_gives():
    torch.manual_seed(1)
    decoded = torch.rand(4, 2000, 5 + 80)  # 160,000 candidates an image: more than enter
    decoded[..., :4] *= 300
    letterboxes = [Letterbox(width=640, height=480, side=640)] * 4
    expected = run(decoded, letterboxes, conf_threshold=0.001)
    found = run(decoded.cuda(), letterboxes, conf_threshold=0.001)
    for one, other in zip(expected, found, strict=True):
        assert one.scores == pytest.approx(other.scores)
        assert one.class_ids.tolist() == other.class_ids.tolist()
        assert one.boxes_xyxy == pytest.approx(other.boxes_xyxy, abs=1e-3)


def plain_nms(rows, letterbox):
    """Greedy suppression as one would write it down, on one image."""
    candidates = []
    for cx, cy, w, h, objectness, *classes in rows:
        corners = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
        image_box = letterbox.canvas_to_image(np.array([corners]))[0]
        if image_box[2] - image_box[0] > 0 and image_box[3] - image_box[1] > 0:
            for class_id, share in enumerate(classes):
                if objectness * share > DEFAULTS["conf_threshold"]:
                    candidates.append((objectness * share, class_id, corners, image_box.tolist()))
    kept = []
    for candidate in sorted(candidates, reverse=True):
        rivals = [other for other in kept if other[1] == candidate[1]]
        if all(iou(candidate[2], other[2]) <= DEFAULTS["nms_threshold"] for other in rivals):
            kept.append(candidate)
    return [(score, class_id, box) for score, class_id, _, box in kept]


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return inter / (sum(areas) - inter)
