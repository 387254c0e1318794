"""Suppression in the ONNX graph against ours, which is tested against torchvision."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from PIL import Image

from tests.tables import make_tables
from tests.yolov2.detection import test_order
from yolov2.boxes import Letterbox
from yolov2.config.evaluate import EvaluateConfig
from yolov2.detection.postprocess import postprocess
from yolov2.evaluation.annotated import annotated_images
from yolov2.export.accuracy import score_suppressing
from yolov2.export.onnx_graph import ExportError, write_onnx
from yolov2.export.proof import prove_suppression
from yolov2.export.suppression import SuppressingGraph, open_suppressing, with_suppression
from yolov2.runtime.manifest import Manifest

SIDE, CLASSES, BOXES = 96, 3, 40
MANIFEST = Manifest(
    class_names=("cat", "dog", "owl"),
    anchors=((1.0, 1.0),),
    image_size=SIDE,
    conf_threshold=0.5,
    nms_threshold=0.45,
    class_thresholds=(0.2, 0.4, 0.9),
)


def random_predictions(count: int) -> np.ndarray:
    values = np.random.default_rng(4).random((count, BOXES, 5 + CLASSES), dtype=np.float32)
    values[..., :4] *= np.array([110, 110, 60, 60], dtype=np.float32)
    values[:, 0, :2] = 500  # beside the canvas
    return values


def as_images(predictions: np.ndarray) -> np.ndarray:
    """Images (B, 3, 96, 96) whose first numbers are the predictions."""
    images = np.zeros((len(predictions), 3 * SIDE * SIDE), dtype=np.float32)
    images[:, : BOXES * (5 + CLASSES)] = predictions.reshape(len(predictions), -1)
    return images.reshape(-1, 3, SIDE, SIDE)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> SuppressingGraph:
    """A graph whose predictions are written in the image."""
    numbers = {
        "flat": [0, -1],
        "start": [0],
        "stop": [BOXES * (5 + CLASSES)],
        "axis": [1],
        "form": [0, BOXES, 5 + CLASSES],
    }
    nodes = [
        helper.make_node("Reshape", ["images", "flat"], ["values"]),
        helper.make_node("Slice", ["values", "start", "stop", "axis"], ["first_values"]),
        helper.make_node("Reshape", ["first_values", "form"], ["predictions"]),
    ]
    sides = ["batch", 3, "height", "width"]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "given",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, sides)],
            [helper.make_tensor_value_info("predictions", TensorProto.FLOAT, ["batch", BOXES, 8])],
            [
                helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
                for name, values in numbers.items()
            ],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    path = tmp_path_factory.mktemp("suppression") / "model.nms.onnx"
    write_onnx(with_suppression(model, MANIFEST), MANIFEST, path)
    return open_suppressing(path)


def expected(predictions: np.ndarray, **settings) -> np.ndarray:
    """Rows (D, 7) of our postprocessing, images filling the canvas."""
    whole = [Letterbox(width=SIDE, height=SIDE, side=SIDE)] * len(predictions)
    found = postprocess(torch.from_numpy(predictions), whole, **settings)
    rows = [
        np.column_stack((np.full(len(one), i), one.boxes_xyxy, one.scores, one.class_ids))
        for i, one in enumerate(found)
    ]
    return np.concatenate(rows)


@pytest.mark.parametrize("multi_label", [True, False])
@pytest.mark.parametrize("most", [4, 300])
@pytest.mark.parametrize("threshold", [[0.001], [0.3], [0.1, 0.5, 0.3], [1.0]])
def test_detections_are_those_of_postprocess(graph, multi_label, most, threshold):
    predictions = random_predictions(3)
    found, same = graph(
        as_images(predictions),
        conf_threshold=threshold,
        nms_threshold=0.4,
        max_detections=most,
        multi_label=multi_label,
    )
    wanted = expected(
        predictions,
        conf_threshold=threshold * CLASSES if len(threshold) == 1 else threshold,
        nms_threshold=0.4,
        max_detections=most,
        multi_label=multi_label,
    )
    np.testing.assert_array_equal(same, predictions)
    assert len(found) == len(wanted)
    assert (len(wanted) > 0) == (threshold != [1.0])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("multi_label", [True, False])
@pytest.mark.parametrize("most", [2, 100])
def test_equal_scores_come_by_their_place(graph, multi_label, most):
    differing = []
    for seed in range(30):
        predictions = test_order.tied_predictions(seed)
        found, _ = graph(
            as_images(predictions.numpy()),
            conf_threshold=[0.1],
            nms_threshold=test_order.NMS,
            max_detections=most,
            multi_label=multi_label,
        )
        rows = [(image, row) for image, one in enumerate(predictions) for row in
                test_order.plain(one, most=most, multi_label=multi_label)]  # fmt: skip
        wanted = [[image, *box, score, class_id] for image, (score, class_id, box) in rows]
        if found.tolist() != wanted:
            differing.append(seed)
    assert differing == []


def test_tiny_scores_are_sorted_in_every_image_of_the_batch(graph):
    """In double precision 2 - 1e-20 is 2 - 2e-20: a rank that joins both would lose the order."""
    predictions = np.zeros((2, BOXES, 5 + CLASSES), dtype=np.float32)
    predictions[:, :, :4] = 8
    predictions[:, :2, 4] = 1
    predictions[:, 0, 5], predictions[:, 1, 7] = 1e-20, 2e-20
    found, _ = graph(
        as_images(predictions),
        conf_threshold=[0.0],
        nms_threshold=0.5,
        max_detections=5,
        multi_label=True,
    )
    assert found[:, [0, 6]].tolist() == [[0, 2], [0, 0], [1, 2], [1, 0]]


def test_images_alone_are_enough(graph):
    predictions = random_predictions(2)
    session = onnxruntime.InferenceSession(graph.session.path)
    assert [each.name for each in session.get_inputs()] == ["images"]
    (found,) = session.run(["detections"], {"images": as_images(predictions)})
    wanted = expected(
        predictions,
        conf_threshold=[0.2, 0.4, 0.9],
        nms_threshold=0.45,
        max_detections=300,
        multi_label=False,
    )
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(graph.detect(as_images(predictions)), found)


@pytest.mark.parametrize("share", [1, 0.04])  # of the scores; below 0.05 nothing counts as found
def test_another_suppression_fails_the_proof(graph, tmp_path, share):
    predictions = random_predictions(2)
    predictions[..., 4] *= share
    images = as_images(predictions)
    prove_suppression("x.onnx", graph, images)
    model = onnx.load(graph.session.path)
    for node in model.graph.node:
        if node.op_type == "NonMaxSuppression":
            node.input[3] = "other"
    model.graph.initializer.append(helper.make_tensor("other", TensorProto.FLOAT, [1], [0.2]))
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(ExportError, match=r"^x\.onnx: \d+ detections of \d+ are not those of"):
        prove_suppression("x.onnx", open_suppressing(tmp_path / "other.onnx"), images)


def test_a_suppression_of_nothing_is_no_proof(graph):
    predictions = random_predictions(2)
    predictions[..., 4] = 0
    with pytest.raises(ExportError) as raised:
        prove_suppression("x.onnx", graph, as_images(predictions))
    assert str(raised.value) == (
        "x.onnx: there is no detection in the 2 images of the proof, whatever its score: nothing"
        " shows that its suppression is right; leave the format out of export.formats"
    )


def test_no_average_precision_of_what_is_no_number(graph, tmp_path):
    """An image beyond those of the proof may be the one that overflows."""
    tables = make_tables([("test", SIDE, SIDE, [(0, 8, 8, 40, 40)])], MANIFEST.class_names)
    annotated = annotated_images(tables, "test", tmp_path)
    path = tmp_path / annotated.paths[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (SIDE, SIDE)).save(path)
    model = onnx.load(graph.session.path)
    for node in model.graph.node:
        if node.output[0] == "predictions":
            node.output[0] = "finite"
            place = list(model.graph.node).index(node) + 1
            break
    model.graph.node.insert(place, helper.make_node("Add", ["finite", "nan"], ["predictions"]))
    model.graph.initializer.append(helper.make_tensor("nan", TensorProto.FLOAT, [1], [np.nan]))
    onnx.save(model, tmp_path / "nan.onnx")
    with pytest.raises(ExportError, match=r"^x\.onnx: 320 of 320 numbers that it predicts are NaN"):
        score_suppressing(
            "x.onnx", open_suppressing(tmp_path / "nan.onnx"), annotated, EvaluateConfig()
        )
