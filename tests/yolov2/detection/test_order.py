"""Equal scores: one order in every path, by score, then by place in the predictions.

The place of a candidate is its row in the predictions, then its class. The expected detections
are those of plain loops over sorted tuples.
"""

import json
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from yolov2.boxes import Letterbox
from yolov2.detection.detections import Detections
from yolov2.detection.outputs.coco_ids import RunningIds
from yolov2.detection.outputs.tables import TABLES
from yolov2.detection.postprocess import postprocess

SIDE, NMS = 64, 0.4
SQUARE = Letterbox(width=SIDE, height=SIDE, side=SIDE)


def tied_predictions(seed: int, images: int = 2, boxes: int = 40, classes: int = 3) -> torch.Tensor:
    """Decoded (B, N, 5+C) whose scores are few powers of two, and boxes on whole pixels."""
    random = np.random.default_rng(seed)
    size = random.integers(6, 20, (images, boxes, 2)) * 2
    corner = random.integers(0, SIDE - 40, (images, boxes, 2))
    objectness = random.choice([0.5, 1.0], (images, boxes, 1))
    shares = random.choice([0.0, 0.25, 0.5], (images, boxes, classes))
    values = np.concatenate((corner + size / 2, size, objectness, shares), axis=-1)
    return torch.from_numpy(values.astype(np.float32))


def plain(predictions: torch.Tensor, *, most: int, multi_label: bool) -> list[tuple]:
    """Score, class and box of one image's (N, 5+C) detections, as one would write it down."""
    candidates = []
    for place, (cx, cy, w, h, objectness, *shares) in enumerate(predictions.tolist()):
        best = shares.index(max(shares))
        for class_id, share in enumerate(shares):
            if objectness * share > 0.1 and (multi_label or class_id == best):
                box = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
                candidates.append((-objectness * share, place, class_id, box))
    kept: list[tuple] = []
    for candidate in sorted(candidates):
        rivals = [other for other in kept if other[2] == candidate[2]]
        if all(overlap(candidate[3], other[3]) <= NMS for other in rivals):
            kept.append(candidate)
    return [(-negative, class_id, list(box)) for negative, _, class_id, box in kept[:most]]


def overlap(a: tuple, b: tuple) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - shared)


def listed(found: Detections) -> list[tuple]:
    columns = (found.scores.tolist(), found.class_ids.tolist(), found.boxes_xyxy.tolist())
    return list(zip(*columns, strict=True))


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("multi_label", [True, False])
@pytest.mark.parametrize("most", [2, 4, 100])  # fewer, and more candidates than are tried first
def test_equal_scores_come_by_their_place(device, multi_label, most):
    differing = []
    for seed in range(40):
        predictions = tied_predictions(seed)
        found = postprocess(
            predictions.to(device),
            [SQUARE, SQUARE],
            conf_threshold=0.1,
            nms_threshold=NMS,
            max_detections=most,
            multi_label=multi_label,
        )
        wanted = [plain(one, most=most, multi_label=multi_label) for one in predictions]
        if list(map(listed, found)) != wanted:
            differing.append(seed)
    assert differing == []


def test_equal_scores_at_the_limit_of_candidates(monkeypatch):
    """All 30 boxes of both classes have one score; 7 candidates may enter: the first 7."""
    monkeypatch.setattr("yolov2.detection.postprocess.MAX_CANDIDATES", 7)
    rows = [[2.0 * i + 1, 1.0, 1, 1, 0.5, 0.5, 0.5] for i in range(30)]
    (found,) = postprocess(
        torch.tensor([rows]), [SQUARE], conf_threshold=0.1, nms_threshold=NMS, max_detections=9
    )
    assert found.class_ids.tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert found.boxes_xyxy[:, 0].tolist() == [0.5, 0.5, 2.5, 2.5, 4.5, 4.5, 6.5]


@pytest.mark.parametrize("kind", list(TABLES))
def test_tables_keep_the_order_of_equal_scores(tmp_path, kind):
    edges = np.array([[i, 0, i + 1, 1] for i in (5, 3, 9, 1)], dtype=np.float32)
    found = Detections(
        boxes_xyxy=edges,
        scores=np.array([0.5, 0.25, 0.25, 0.25], dtype=np.float32),
        class_ids=np.array([1, 0, 1, 0]),
        class_names=("cat", "dog"),
    )
    path = tmp_path / f"found.{kind}"
    writer = TABLES[kind](path, RunningIds())
    picture = Image.new("RGB", (16, 16))
    writer(SimpleNamespace(name="a", number=0, detections=found, video=None, image=picture))
    writer.close(whole=True)
    if kind == "json":
        lefts = [row["bbox"][0] for row in json.loads(path.read_text())]
    elif kind == "csv":
        lefts = [float(line.split(",")[6]) for line in path.read_text().splitlines()[1:]]
    else:
        lefts = pq.read_table(path)["x1"].to_pylist()
    assert lefts == [5, 3, 9, 1]
