import json
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tests.tables import make_tables
from yolov2.boxes import Letterbox
from yolov2.config.evaluate import EvaluateConfig
from yolov2.data.batches.dataset import DetectionDataset
from yolov2.data.batches.loader import EvaluationLoader
from yolov2.detection.predict import predict
from yolov2.evaluation.annotated import annotated_images
from yolov2.evaluation.evaluate import evaluate_checkpoint, write_metrics
from yolov2.evaluation.metrics import evaluate
from yolov2.evaluation.report.files import write_report
from yolov2.evaluation.report.pictures import best_and_worst, draw_pictures
from yolov2.evaluation.report.tables import write_tables
from yolov2.evaluation.rows import ImageScore
from yolov2.evaluation.score import score_split
from yolov2.network.checkpoint import save_checkpoint
from yolov2.network.yolov2 import YOLOv2

CPU = torch.device("cpu")
NAMES = ("cat", "dog")
IMAGES = [
    ("train", 20, 20, [(0, 0, 0, 20, 20)]),
    ("test", 64, 64, [(0, 0, 0, 32, 32), (0, 32, 32, 64, 64)]),
    ("test", 100, 50, [(1, 10, 10, 60, 40)]),
    ("test", 40, 90, []),
    ("test", 33, 61, [(0, 3, 5, 30, 50), (1, 0, 0, 10, 61)]),
]


@pytest.fixture
def data(tmp_path):
    """Tables and root of a small data set whose images are on disk."""
    tables = make_tables(IMAGES, NAMES)
    for row in tables.images.itertuples():
        path = tmp_path / str(row.image)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (row.width, row.height), (200, 180, 160)).save(path)
    return tables, tmp_path


def grid_network():
    """A network that says the same everywhere: in each cell a box of one cell, mostly a cat."""
    network = YOLOv2(2, [(1.0, 1.0)], width=0.05)
    torch.nn.init.zeros_(network.output.weight)
    with torch.no_grad():
        network.output.bias.copy_(torch.tensor([0.0, 0, 0, 0, 3, 2, -2]))
    return network.eval()


def perfect_decoder(tables, split, side):
    """A network that knows the answers: decoded predictions for a loader's batches in turn."""
    rows = tables.images[tables.images["split"] == split]
    answers = []
    for row in rows.itertuples():
        labels = tables.labels[tables.labels["image_id"] == row.image_id]
        letterbox = Letterbox(width=row.width, height=row.height, side=side)
        answer = torch.zeros(5, 5 + len(tables.class_names))
        boxes = letterbox.normalised_to_canvas(labels[["cx", "cy", "w", "h"]].to_numpy(float))
        answer[: len(labels), :4] = torch.from_numpy(boxes * side)
        answer[: len(labels), 4] = 0.9
        answer[torch.arange(len(labels)), 5 + torch.tensor(labels["class_id"].tolist()).long()] = 1
        answers.append(answer)
    remaining = iter(answers)

    def network(images):
        assert images.dtype == torch.float32
        assert 0.6 < images.max() <= 1
        return torch.stack([next(remaining) for _ in images])

    return network


def test_perfect_predictions_give_average_precision_one(data):
    tables, root = data
    dataset = DetectionDataset(tables, root, "test", 64)
    loader = EvaluationLoader(dataset, batch_size=3, num_workers=0)
    network = perfect_decoder(tables, "test", 64)
    detections = predict(network, loader, EvaluateConfig(), CPU)
    assert list(detections) == [1, 2, 3, 4]
    evaluation = evaluate(annotated_images(tables, "test", root), detections)
    assert evaluation.stats["AP"] == pytest.approx(1.0)
    assert evaluation.confusion.tolist() == [[3, 0, 0], [0, 2, 0], [0, 0, 0]]
    assert {score.f1 for score in evaluation.image_scores} == {1.0}
    assert (evaluation.images, evaluation.boxes) == (4, 5)


def test_a_checkpoint_gets_a_whole_report(data, tmp_path):
    tables, root = data
    weights = tmp_path / "best.pt"
    save_checkpoint(weights, grid_network(), class_names=NAMES, image_size=64)
    config = EvaluateConfig(batch_size=3, resamples=20)
    evaluated = evaluate_checkpoint(weights, tables, root, config, device=CPU)
    evaluation = evaluated.evaluation
    # two of the four cells of image 1 are exactly its boxes; little else fits
    assert 0 < evaluation.stats["AP"] <= evaluation.stats["AP50"] < 1
    folder = tmp_path / "report"
    write_report(evaluated, folder, pictures=3)
    write_metrics(evaluation, tmp_path / "metrics.json")
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["per_class"]["cat"] == evaluation.per_class["cat"]
    assert metrics["AP50"] == evaluation.as_metrics()["AP50"]
    assert evaluation.as_metrics()["AP/dog"] == metrics["per_class"]["dog"]["AP"]
    assert (metrics["split"], metrics["images"], metrics["boxes"]) == ("test", 4, 5)
    curves = pd.read_csv(folder / "pr_curve.csv")
    assert list(curves.columns) == ["recall", "mean", "cat", "dog"]
    assert len(pd.read_csv(folder / "confusion.csv")) == evaluation.confusion.sum()
    names = sorted(path.name for path in (folder / "images").iterdir())
    assert names == ["best-1.jpg", "best-2.jpg", "worst-1.jpg"]
    write_report(evaluated, folder, pictures=0)
    assert list((folder / "images").iterdir()) == []


def test_pictures_drawn_from_the_tables_are_the_same(data, tmp_path, monkeypatch):
    """As another process draws them, from the files alone."""
    tables, root = data
    save_checkpoint(tmp_path / "best.pt", grid_network(), class_names=NAMES, image_size=64)
    config = EvaluateConfig(batch_size=3, resamples=20)
    evaluated = evaluate_checkpoint(tmp_path / "best.pt", tables, root, config, device=CPU)
    whole, written, drawn = tmp_path / "whole", tmp_path / "written", tmp_path / "drawn"
    write_report(evaluated, whole, pictures=3)
    write_tables(evaluated, written)
    write_metrics(evaluated.evaluation, tmp_path / "metrics.json")
    for tool in ("hotcoco", "pycocotools", "torch"):  # neither judges nor detects again
        monkeypatch.setitem(sys.modules, tool, None)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    draw_pictures(annotated_images(tables, "test", root), metrics, written, drawn, pictures=3)
    assert {path.suffix for path in files(written)} == {".csv", ".parquet"}
    assert {path.suffix for path in files(drawn)} == {".png", ".jpg"}
    assert files(whole) == files(written) | files(drawn)


def files(folder):
    """The bytes of every file below ``folder``."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in found}


def test_the_score_of_training_is_the_reported_one(data, tmp_path):
    tables, root = data
    network = grid_network()
    save_checkpoint(tmp_path / "best.pt", network, class_names=NAMES, image_size=64)
    dataset = DetectionDataset(tables, root, "test", 64)
    loader = EvaluationLoader(dataset, batch_size=2, num_workers=0)
    config = EvaluateConfig(batch_size=3, resamples=20)
    quick = score_split(network, loader, tables, "test", config, CPU)
    full = evaluate_checkpoint(tmp_path / "best.pt", tables, root, config, device=CPU)
    assert quick == {name: pytest.approx(full.evaluation.stats[name]) for name in ("AP", "AP50")}


def test_another_data_set_than_the_trained_one_is_an_error(data, tmp_path):
    tables, root = data
    weights = tmp_path / "best.pt"
    names = tuple(f"thing {i}" for i in range(9))
    save_checkpoint(weights, YOLOv2(9, [(1, 1)], width=0.05), class_names=names, image_size=64)
    expected = r"best.pt was trained for the classes thing 0, .*, thing 7, ... \(9 in all\), but"
    with pytest.raises(ValueError, match=expected + " the data set has cat, dog"):
        evaluate_checkpoint(weights, tables, root, EvaluateConfig(), device=CPU)


def test_a_missing_split_is_an_error_that_names_those_that_exist(data, tmp_path):
    tables, root = data
    weights = tmp_path / "best.pt"
    save_checkpoint(weights, grid_network(), class_names=NAMES, image_size=64)
    with pytest.raises(ValueError, match=r"no images in split 'val' \(it has: train, test\)"):
        evaluate_checkpoint(weights, tables, root, EvaluateConfig(split="val"), device=CPU)


@pytest.mark.parametrize(
    ("pictures", "best", "worst"),
    [
        (0, [], []),
        (1, [0], []),
        (4, [0, 1], [4, 3]),
        (5, [0, 1, 2], [4, 3]),
        (9, [0, 1, 2], [4, 3]),
    ],
)
def test_no_image_is_both_best_and_worst(pictures, best, worst):
    scores = [ImageScore(image_id=i, found=1, missed=i, false=0) for i in range(5)]
    chosen = best_and_worst(scores, pictures)
    expected = {f"best-{i}": scores[j] for i, j in enumerate(best, start=1)}
    assert chosen == expected | {f"worst-{i}": scores[j] for i, j in enumerate(worst, start=1)}


def test_an_untrained_network_has_finite_figures(data, tmp_path):
    tables, root = data
    torch.manual_seed(0)
    weights = tmp_path / "best.pt"
    save_checkpoint(weights, YOLOv2(2, [(1, 1), (2, 1)], 0.05), class_names=NAMES, image_size=64)
    evaluation = evaluate_checkpoint(
        weights, tables, root, EvaluateConfig(conf_threshold=0.9), device=CPU
    ).evaluation
    assert evaluation.stats["AP"] == 0
    assert np.isfinite(list(evaluation.as_metrics().values())).all()
