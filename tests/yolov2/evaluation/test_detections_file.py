import numpy as np
import pytest

from tests.tables import make_tables
from yolov2.detection.detections import Detections
from yolov2.evaluation.annotated import annotated_images
from yolov2.evaluation.detections_file import read_detections, write_detections
from yolov2.evaluation.shares import gather_detections

ROWS = [("test", 64, 48, [(0, 1, 2, 30, 40)]), ("test", 64, 48, []), ("test", 9, 9, [])]


def some(count, seed):
    random = np.random.default_rng(seed)
    return Detections(
        boxes_xyxy=random.random((count, 4)).astype(np.float32),
        scores=np.sort(random.random(count).astype(np.float32))[::-1],
        class_ids=random.integers(0, 2, count),
    )


@pytest.fixture
def annotated():
    return annotated_images(make_tables(ROWS, ("cat", "dog")), "test", None)


DETECTIONS = {0: some(5, 1), 1: some(0, 2), 2: some(2, 3)}


def equal(a, b):
    return list(a) == list(b) and all(
        np.array_equal(a[i].boxes_xyxy, b[i].boxes_xyxy)
        and np.array_equal(a[i].scores, b[i].scores)
        and np.array_equal(a[i].class_ids, b[i].class_ids)
        for i in a
    )


def test_file_gives_back_every_bit(annotated, tmp_path):
    write_detections(tmp_path / "new" / "d.parquet", DETECTIONS, annotated)
    saved = read_detections(tmp_path / "new" / "d.parquet")
    assert equal(saved.detections, DETECTIONS)
    assert (saved.class_names, saved.split) == (("cat", "dog"), "test")
    assert saved.data_digest == annotated.digest


def test_shards_make_the_whole_and_each_image_comes_once(annotated, tmp_path):
    first, second = tmp_path / "1.parquet", tmp_path / "2.parquet"
    write_detections(first, {0: DETECTIONS[0], 2: DETECTIONS[2]}, annotated)
    write_detections(second, {1: DETECTIONS[1]}, annotated)
    assert equal(gather_detections([second, first], annotated), DETECTIONS)
    with pytest.raises(ValueError, match=r"1 of 3 images are in none of the files.*0001.png"):
        gather_detections([first], annotated)
    with pytest.raises(ValueError, match=r"image 0 \(.*0000.png\) is in .*1.parquet and in .*1.p"):
        gather_detections([first, second, first], annotated)


def test_files_of_other_data_are_refused(annotated, tmp_path):
    file = tmp_path / "d.parquet"
    write_detections(file, DETECTIONS, annotated)
    other = annotated_images(make_tables(ROWS, ("cat", "bird")), "test", None)
    with pytest.raises(ValueError, match="detections of other data"):
        gather_detections([file], other)
    file.write_bytes(b"no parquet")
    with pytest.raises(ValueError, match="not detections of `yolov2 evaluate`"):
        read_detections(file)
    with pytest.raises(ValueError, match="absent.parquet: no such file"):
        read_detections(tmp_path / "absent.parquet")


def test_equal_scores_keep_their_order(annotated, tmp_path):
    random = np.random.default_rng(0)
    tied = Detections(
        boxes_xyxy=random.random((300, 4)).astype(np.float32),
        scores=np.repeat(np.array([0.75, 0.5, 0.25], dtype=np.float32), 100),
        class_ids=random.integers(0, 2, 300),
    )
    write_detections(tmp_path / "d.parquet", {2: tied, 0: tied}, annotated)
    saved = read_detections(tmp_path / "d.parquet").detections
    assert equal(saved, {2: tied, 0: tied})
