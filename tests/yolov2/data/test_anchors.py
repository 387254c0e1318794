import numpy as np
import pytest

from tests.tables import make_tables
from yolov2.config.data import AnchorsConfig
from yolov2.config.model import DEFAULT_ANCHORS
from yolov2.data.anchor_plot import save_anchor_plot
from yolov2.data.anchor_report import anchor_table
from yolov2.data.anchors import (
    choose_anchors,
    kmeans_anchors,
    mean_iou,
)
from yolov2.data.box_sizes import letterboxed_sizes

# Two groups far apart, each of one shape in two sizes: 2x2 and 4x4; 20x10 twice and 26x13.
SIZES = np.array([[2.0, 2.0], [4.0, 4.0], [20.0, 10.0], [26.0, 13.0], [20.0, 10.0]])


def small_tables():
    """Boxes of 64x64 in a 640x480 image, and of 32x96 in a portrait image of 240x320."""
    return make_tables(
        [
            ("train", 640, 480, [(0, 0, 0, 64, 64)]),
            ("train", 240, 320, [(0, 10, 10, 42, 106), (0, 100, 100, 132, 196)]),
            ("val", 640, 480, []),
        ],
        ["thing"],
    )


def test_sizes_are_measured_in_cells_after_letterboxing():
    # 640x480 at 320: half the size, so 32 pixels = 1 cell; 240x320 at 320: as it is
    assert letterboxed_sizes(small_tables(), "train", 320) == pytest.approx(
        np.array([[1.0, 1.0], [1.0, 3.0], [1.0, 3.0]])
    )


def test_mean_iou_by_hand():
    # 2x2 with 4x4: 4/16; 4x4: 1; the three wide ones overlap 20x10 by 1, 200/338, 1
    anchors = np.array([[4.0, 4.0], [20.0, 10.0]])
    assert mean_iou(SIZES, anchors) == pytest.approx((0.25 + 1 + 1 + 200 / 338 + 1) / 5)


def test_two_clusters_by_hand():
    # means: (2+4)/2 = 3; (20+26+20)/3 = 22 and (10+13+10)/3 = 11
    anchors = kmeans_anchors(SIZES, 2, restarts=20, seed=0)[0]
    assert anchors == pytest.approx(np.array([[3.0, 3.0], [22.0, 11.0]]))


def test_as_many_clusters_as_sizes_reproduce_the_sizes_by_area():
    anchors = kmeans_anchors(SIZES, 4, restarts=1, seed=3)[0]
    assert anchors == pytest.approx(np.unique(SIZES, axis=0))
    assert mean_iou(SIZES, anchors) == pytest.approx(1.0)


def test_the_order_of_the_boxes_does_not_matter():
    random = np.random.default_rng(5)
    sizes = np.exp(random.normal(size=(300, 2)))
    shuffled = random.permutation(sizes)
    one, other = (kmeans_anchors(boxes, 3, restarts=4, seed=1)[0] for boxes in (sizes, shuffled))
    assert one == pytest.approx(other)


def test_many_sizes_are_clustered_by_a_sample_and_refined_on_all(monkeypatch):
    monkeypatch.setattr("yolov2.data.anchors.RESTART_SIZES", 40)
    random = np.random.default_rng(2)
    centres = np.array([[1.0, 1.0], [6.0, 2.0], [3.0, 9.0]])
    sizes = np.repeat(centres, 200, axis=0) * random.uniform(0.95, 1.05, size=(600, 2))
    anchors = kmeans_anchors(sizes, 3, restarts=10, seed=0)[0]
    exact = sizes.reshape(3, 200, 2).mean(axis=1)
    # sizes count to a millionth of a cell
    assert anchors == pytest.approx(exact[np.argsort(exact.prod(axis=1))], abs=1e-6)


def test_too_few_different_sizes_say_what_to_do():
    with pytest.raises(ValueError, match=r"k=5 needs at least 5 different box sizes.* have 4: low"):
        kmeans_anchors(SIZES, 5, restarts=1, seed=0)


def test_no_training_boxes_say_where_to_look():
    with pytest.raises(ValueError, match="anchors need boxes, but the val split has none"):
        letterboxed_sizes(small_tables(), "val", 320)
    with pytest.raises(ValueError, match="the data set has no test split .it has: .*give the desc"):
        letterboxed_sizes(small_tables(), "test", 320)


def test_default_anchors_are_kept_where_kmeans_is_impossible():
    report = choose_anchors(small_tables(), AnchorsConfig(method="default"), 320)
    assert report.anchors == pytest.approx(np.array(DEFAULT_ANCHORS))
    assert report.found is None
    assert set(report.mean_iou) == {"default"}


def test_given_anchors_are_used_and_all_sets_compared(tmp_path):
    config = AnchorsConfig(method="given", k=2, given=((1.0, 3.0), (2.0, 1.0)))
    report = choose_anchors(small_tables(), config, 320)
    assert report.as_json()["anchors"] == [[2.0, 1.0], [1.0, 3.0]]  # by area
    assert report.mean_iou["found"] == pytest.approx(1.0)
    assert report.mean_iou["given"] == pytest.approx((1 / 2 + 1 + 1) / 3)
    assert "mean IoU with the 3 training boxes" in anchor_table(report)
    sizes = report.sizes_cells
    save_anchor_plot(report.as_table(), sizes, report.image_size, tmp_path / "anchors.png")
    assert (tmp_path / "anchors.png").read_bytes().startswith(b"\x89PNG")


def test_bccd_gives_the_published_fit(bccd):
    # reference: .8484 at 640 and k=5, the darknet anchors .5456 (computed independently)
    rows = []
    for file in sorted((bccd / "labels" / "train").glob("*.txt")):
        lines = [line.split() for line in file.read_text().splitlines()]
        boxes = [[float(value) for value in line[1:]] for line in lines]
        rows += [(w * 640, h * 480) for _, _, w, h in boxes if w > 0 and h > 0]
    tables = make_tables(
        [("train", 640, 480, [(0, 0, 0, width, height) for width, height in rows])], ["cell"]
    )
    report = choose_anchors(tables, AnchorsConfig(), 640)
    assert len(report.sizes_cells) == 2804
    assert report.mean_iou["found"] == pytest.approx(0.848, abs=0.005)
    assert report.mean_iou["default"] == pytest.approx(0.5456, abs=0.0005)
    expected = [[1.249, 1.211], [3.132, 2.589], [2.988, 3.269], [3.713, 3.426], [6.624, 6.018]]
    assert report.anchors == pytest.approx(np.array(expected), abs=0.01)
