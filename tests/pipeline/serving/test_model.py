import base64
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.registry.package import SERVED_MODULES, save_served_model
from tests.architecture.imports import closure, read_tree
from tests.pipeline.tracked import png, write_graph
from tests.yolov2.detection import test_order
from yolov2.boxes import Letterbox
from yolov2.config.evaluate import DetectConfig
from yolov2.data.images.reading import NO_FORMAT

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A served model as it is registered."""
    root = tmp_path_factory.mktemp("served")
    write_graph(root / "model.onnx")
    save_served_model(root / "model", {"onnx": root / "model.onnx"})
    return root / "model"


@pytest.fixture(scope="module")
def model(folder: Path, pyfunc: ModuleType) -> Iterator[Any]:
    """The model as MLflow loads it; afterwards Python looks where it looked before."""
    path = list(sys.path)
    yield pyfunc.load_model(str(folder))
    sys.path[:] = path


@pytest.fixture(scope="module")
def serving(pyfunc: ModuleType) -> ModuleType:
    """The module, not imported before a test needs it: MLflow's part takes seconds."""
    return importlib.import_module("pipeline.serving.model")


def answers(model: Any, images: list[Any], **params: Any) -> list[Any]:
    table = model.predict(pd.DataFrame({"image": images}), params=params or None)
    return [json.loads(text) for text in table["detections"]]


def test_detections_worked_out_by_hand(model: Any) -> None:
    # 128x64 on a canvas of 64: half size, 16 rows of grey (127) above and below; the mean of the
    # red channel is (255 + 127) / 2 of 255
    objectness = (255 + 127) / 2 / 255
    table = model.predict(pd.DataFrame({"image": [png(255)]}), params={"conf_threshold": 0.3})
    assert table[["image_width", "image_height"]].iloc[0].tolist() == [128, 64]
    found = json.loads(table["detections"][0])
    # the second cat lies over the first; the dog in the first one's place stays
    assert [(item["class_name"], item["class_id"]) for item in found] == [
        ("cat", 0),
        ("dog", 1),
        ("owl", 2),
    ]
    scores = [item["score"] for item in found]
    assert scores == pytest.approx([0.9 * objectness, 0.7 * objectness, 0.6 * objectness], abs=1e-5)
    # canvas (12, 16, 28, 32) -> image: (x - 0) * 2, (y - 16) * 2
    assert [item["box"] for item in found] == [
        [24.0, 0.0, 56.0, 32.0],
        [24.0, 0.0, 56.0, 32.0],
        [80.0, 32.0, 96.0, 64.0],
    ]


def test_thresholds_come_with_the_request(model: Any) -> None:
    assert [len(each) for each in answers(model, [png(255)])] == [2]  # 0.5, as the graph says
    assert [len(each) for each in answers(model, [png(255)], conf_threshold=0.6)] == [1]
    assert [len(each) for each in answers(model, [png(255)], nms_threshold=0.9)] == [3]
    (found,) = answers(model, [png(255)], conf_threshold=0.0, max_detections=2)
    assert [item["class_name"] for item in found] == ["cat", "dog"]


def test_bytes_base64_and_batches_agree(model: Any) -> None:
    reds = [255, 0, 200, 90, 255, 10, 128, 250, 255, 77]  # more than one batch of the network
    several = answers(model, [png(red) for red in reds], conf_threshold=0.2)
    single = [answers(model, [png(red)], conf_threshold=0.2)[0] for red in reds]
    assert several == single
    text = [base64.encodebytes(png(red)).decode() for red in reds]  # with line breaks
    assert answers(model, text, conf_threshold=0.2) == several
    assert len(model.predict(pd.DataFrame({"image": pd.Series([], dtype=object)}))) == 0


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("not base64!", "row 1: image is not valid base64"),
        (base64.b64encode(b"hello").decode(), f"row 1: image: {NO_FORMAT}"),
        ("", r"row 1: image: empty \(0 bytes\)"),
        (None, r"row 1: image must be base64 text or bytes \(.*\), not NoneType"),
        (Path("/nowhere/cat.png"), "row 1: /nowhere/cat.png: no such image file"),
        (png(0, 10_000, 5_001), "row 1: image: 10000 x 5001 pixels, of at most 50,000,000 in all"),
        ([[[1, 2, 3]]], r"row 1: image must be base64 text or bytes \(.*\), not list"),
        (np.zeros((4, 4, 3)), r"row 1: an array must be uint8 \(height, width, 3\) in RGB"),
        (np.zeros((4, 4), dtype=np.uint8), r"row 1: an array must be .*, not uint8 \(4, 4\)"),
        (png(255)[:60], "row 1: image: "),
        ("http://127.0.0.1:9/cat.png", "row 1: image is not valid base64"),
    ],
)
def test_bad_image_names_its_row(model: Any, value: object, sentence: str) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match=sentence) as raised:
        answers(model, [png(255), value])
    assert raised.value.error_code == "INVALID_PARAMETER_VALUE"  # the server makes it a 400


def test_paths_and_arrays_in_python(model: Any, tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(png(200))
    array = np.zeros((64, 128, 3), dtype=np.uint8)
    array[..., 0] = 200
    found = answers(model, [png(200), path, array], conf_threshold=0.3)
    assert len(found[0]) == 3
    assert found[1] == found[2] == found[0]


def test_name_of_an_existing_file_is_not_opened(model: Any, tmp_path: Path) -> None:
    from mlflow.exceptions import MlflowException

    image = tmp_path / "cat.png"
    image.write_bytes(png(255))
    with pytest.raises(MlflowException, match="row 0: image is not valid base64"):
        answers(model, [str(image)])


def test_bad_threshold(model: Any) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match="conf_threshold must be between 0 and 1, not 7"):
        answers(model, [png(255)], conf_threshold=7.0)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_suppression_equals_torchvision(serving: ModuleType, threshold: float) -> None:
    import torch
    from torchvision.ops import batched_nms

    rng = np.random.default_rng(3)
    corners = rng.uniform(0, 60, (300, 2))
    boxes = np.concatenate((corners, corners + rng.uniform(4, 40, (300, 2))), axis=1)
    classes = rng.integers(0, 4, 300)
    scores = np.linspace(1, 0.1, 300)
    wanted = batched_nms(
        torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(classes), threshold
    )
    assert serving.suppress(boxes, classes, threshold).tolist() == wanted.tolist()


@pytest.mark.parametrize("threshold", [0.35, None])
def test_postprocessing_equals_detection_with_torch(
    serving: ModuleType, threshold: float | None
) -> None:
    import torch

    from yolov2.detection.postprocess import postprocess

    rng = np.random.default_rng(7)
    letterboxes = [
        Letterbox(width=w, height=h, side=96) for w, h in ((200, 90), (33, 150), (96, 96))
    ]
    predictions = rng.uniform(0, 1, (3, 180, 5 + 4)).astype(np.float32)
    predictions[..., :4] *= np.array([110, 110, 50, 50], dtype=np.float32)
    config = DetectConfig(conf_threshold=threshold, nms_threshold=0.4, max_detections=20)
    by_class = (0.3, 0.5, 0.2, 0.4)  # of the graph, where the request says nothing
    wanted = postprocess(
        torch.from_numpy(predictions),
        letterboxes,
        conf_threshold=by_class if threshold is None else threshold,
        nms_threshold=config.nms_threshold,
        max_detections=config.max_detections,
        multi_label=False,
    )
    for one, letterbox, torch_found in zip(predictions, letterboxes, wanted, strict=True):
        boxes, scores, class_ids = serving.detect(one, letterbox, config, by_class)
        assert len(scores) == 20
        np.testing.assert_allclose(boxes, torch_found.boxes_xyxy, atol=1e-4)
        np.testing.assert_array_equal(scores, torch_found.scores)
        np.testing.assert_array_equal(class_ids, torch_found.class_ids)


def test_equal_scores_come_by_their_place(serving: ModuleType) -> None:
    config = DetectConfig(conf_threshold=0.1, nms_threshold=test_order.NMS, max_detections=20)
    for seed in range(10):
        for predictions in test_order.tied_predictions(seed):
            boxes, scores, class_ids = serving.detect(
                predictions.numpy(), test_order.SQUARE, config, ()
            )
            found = list(zip(scores.tolist(), class_ids.tolist(), boxes.tolist(), strict=True))
            assert found == test_order.plain(predictions, most=20, multi_label=False)


def test_broken_weights_are_said(serving: ModuleType) -> None:
    from mlflow.exceptions import MlflowException

    box = Letterbox(width=8, height=8, side=32)
    with pytest.raises(MlflowException, match="predictions hold NaN or infinite values"):
        serving.detect(np.full((2, 8), np.nan, dtype=np.float32), box, DetectConfig(), ())


def test_travelling_modules_are_those_that_serving_imports() -> None:
    tree = read_tree(ROOT)
    needed = {tree.relative(name) for name in closure(tree, "pipeline.serving.model")}
    folders = {folder for name in needed for folder in Path(name).parents if folder.parts}
    packages = {f"{folder}/__init__.py" for folder in folders if folder.parts[0] == "yolov2"}
    assert (needed | packages) - {"pipeline/serving/model.py"} == set(SERVED_MODULES)


def test_model_serves_far_from_the_repository_without_torch(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(png(255))
    code = f"""
        import sys
        sys.modules.update(dict.fromkeys(["torch", "torchvision", "pyarrow"]))
        import mlflow.pyfunc, pandas
        model = mlflow.pyfunc.load_model({str(folder)!r})
        image = open("image.png", "rb").read()
        print(model.predict(pandas.DataFrame({{"image": [image]}}))["detections"][0])
    """
    command = [sys.executable, "-c", dedent(code)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    names = [item["class_name"] for item in json.loads(done.stdout.splitlines()[-1])]
    assert names == ["cat", "dog"]


def test_requirements_are_pinned(folder: Path) -> None:
    lines = (folder / "requirements.txt").read_text().split()
    assert {line.partition("==")[0] for line in lines} == {
        "mlflow",
        "numpy",
        "onnxruntime",
        "pandas",
        "pillow",
    }
    assert all("==" in line for line in lines)


@pytest.mark.slow
def test_served_detections_are_those_of_the_checkpoint(tmp_path: Path, pyfunc: ModuleType) -> None:
    import torch

    from yolov2.config.export import ExportConfig
    from yolov2.detection.detect import Detector
    from yolov2.export.artefacts import Places, export_checkpoint
    from yolov2.export.evidence import Evidence
    from yolov2.network.checkpoint import save_checkpoint
    from yolov2.network.yolov2 import YOLOv2

    torch.manual_seed(0)
    network = YOLOv2(3, ((1.0, 1.0), (0.5, 2.0)), width=0.05)
    names = ("cat", "dog", "owl")
    save_checkpoint(tmp_path / "best.pt", network, class_names=names, image_size=96)
    rng = np.random.default_rng(0)
    images = [tmp_path / f"{i}.png" for i in range(3)]
    for path, (height, width) in zip(images, ((50, 120), (97, 31), (96, 96)), strict=True):
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
    evidence, settings = Evidence(images=images), ExportConfig(formats=("onnx",))
    places = Places(folder=tmp_path, reports=())
    exported = list(export_checkpoint(tmp_path / "best.pt", places, evidence, settings))
    save_served_model(tmp_path / "model", {item.kind.name: item.path for item in exported})
    config = DetectConfig(conf_threshold=0.0, nms_threshold=0.45, max_detections=25)
    wanted = Detector.load(tmp_path / "best.pt", "cpu", config)(images)
    before = list(sys.path)
    model = pyfunc.load_model(str(tmp_path / "model"))
    sys.path[:] = before
    params = {"conf_threshold": 0.0, "nms_threshold": 0.45, "max_detections": 25}
    served = answers(model, [path.read_bytes() for path in images], **params)
    assert all(len(each) > 3 for each in wanted)
    for found, torch_found in zip(served, wanted, strict=True):
        assert [item["class_id"] for item in found] == torch_found.class_ids.tolist()
        scores = [item["score"] for item in found]
        np.testing.assert_allclose(scores, torch_found.scores, atol=1e-5)
        boxes = [item["box"] for item in found]
        np.testing.assert_allclose(boxes, torch_found.boxes_xyxy, atol=0.02)
