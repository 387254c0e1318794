"""Exported graphs against PyTorch: the same numbers, the same bytes, nothing of this machine."""

import copy
import json
import os
import zipfile
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from yolov2.config.export import CALIBRATED, ExportConfig, FormatName
from yolov2.export.formats import BF16, FORMATS, FP16, INT8
from yolov2.export.onnx_graph import ExportError
from yolov2.export.proof import FP32, prove
from yolov2.export.source import Source
from yolov2.network.decode import DecodedYOLOv2
from yolov2.network.yolov2 import YOLOv2
from yolov2.runtime.graphs import GRAPHS, open_onnx, open_pt2, open_torchscript, run_module
from yolov2.runtime.manifest import Manifest
from yolov2.runtime.model_file import SUFFIXES, open_model

SIDE, CLASSES = 96, ("red", "größe", "🚗")
ANCHORS = ((0.75, 1.5), (2.25, 1.25))
BOXES = 2 * 3 * 3
NAMES = ("onnx", "onnx-raw", "onnx-nms", "onnx-int8", "torchscript", "pt2")

MANIFEST = Manifest(
    class_names=CLASSES,
    anchors=ANCHORS,
    image_size=SIDE,
    conf_threshold=0.5,
    nms_threshold=0.45,
    class_thresholds=(0.3, 0.5, 0.7),
    data_digest="0123abcd",
)


def random_network() -> DecodedYOLOv2:
    """Weights, biases and batch statistics that make every part of the graph matter."""
    random = torch.Generator().manual_seed(5)
    network = YOLOv2(len(CLASSES), ANCHORS, width=0.05)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5, generator=random)
            module.bias.data.uniform_(-0.3, 0.3, generator=random)
            module.running_mean.uniform_(-0.3, 0.3, generator=random)
            module.running_var.uniform_(0.5, 2.0, generator=random)
        elif isinstance(module, nn.Conv2d):
            fan_in = module.weight[0].numel()
            module.weight.data.normal_(0, (2 / fan_in) ** 0.5, generator=random)
    network.output.bias.data.normal_(0, 1, generator=random)
    return DecodedYOLOv2(network).eval()


def random_images(count: int, height: int = SIDE, width: int = SIDE) -> np.ndarray:
    return np.random.default_rng(count).random((count, 3, height, width), dtype=np.float32)


def make_source(network: DecodedYOLOv2) -> Source:
    return Source(
        network=network.network,
        manifest=MANIFEST,
        calibration=lambda: (random_images(1) for _ in range(2)),
    )


@pytest.fixture(scope="module")
def network() -> DecodedYOLOv2:
    return random_network()


@pytest.fixture(scope="module")
def folder(network: DecodedYOLOv2, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    source = make_source(network)
    for name in NAMES:
        kind = FORMATS[name]
        kind.write(source, kind.manifest(MANIFEST), folder / kind.file)
    return folder


def opened(path: Path):
    """The run of an exported file, whatever its kind."""
    model = open_model(path, "cpu")
    return lambda images: model.predict(torch.from_numpy(images)).numpy()


@pytest.mark.parametrize("name", ["onnx", "onnx-raw", "onnx-nms", "torchscript", "pt2"])
def test_exported_files_compute_what_pytorch_does(network, folder, name):
    run = opened(folder / FORMATS[name].file)
    sizes = ((1, SIDE, SIDE), (5, SIDE, SIDE), (2, 64, 160), (1, 32, 32), (3, 32, 64))
    for count, height, width in sizes:
        images = random_images(count, height, width)
        found = run(images)
        with torch.no_grad():
            wanted = network(torch.from_numpy(images)).numpy()
        assert found.shape == (count, 2 * (height // 32) * (width // 32), 5 + len(CLASSES))
        assert np.ptp(wanted[..., 4:]) > 0.1, "the test's network says the same everywhere"
        np.testing.assert_allclose(found[..., :4], wanted[..., :4], rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(found[..., 4:], wanted[..., 4:], rtol=0, atol=1e-5)


def test_the_raw_graph_gives_the_networks_output(network, folder):
    images = random_images(2, 64, 160)
    session = onnxruntime.InferenceSession(folder / "model.raw.onnx")
    (found,) = session.run(["predictions"], {"images": images})
    with torch.no_grad():
        wanted = network.network(torch.from_numpy(images)).numpy()
    assert found.shape == (2, 2, 2, 5, 8)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4)


def test_int8_is_near_and_a_third_of_the_size(network, folder):
    images = random_images(3)
    with torch.no_grad():
        wanted = network(torch.from_numpy(images)).numpy()
    found = opened(folder / "model.int8.onnx")(images)
    assert 1e-4 < np.abs(found[..., 4:] - wanted[..., 4:]).max() < 0.15
    types = {node.op_type for node in onnx.load(folder / "model.int8.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= types


def test_the_graphs_interface(folder):
    model = onnx.load(folder / "model.onnx")
    (images,), (predictions,) = model.graph.input, model.graph.output
    dims = [dim.dim_param or dim.dim_value for dim in images.type.tensor_type.shape.dim]
    assert (images.name, dims) == ("images", ["batch", 3, "height", "width"])
    dims = [dim.dim_param or dim.dim_value for dim in predictions.type.tensor_type.shape.dim]
    assert (predictions.name, dims) == ("predictions", ["batch", "boxes", 8])


def test_onnx_files_ask_for_no_newer_runtime_than_they_need(folder):
    for name in ("onnx", "onnx-raw", "onnx-nms", "onnx-int8"):
        model = onnx.load(folder / FORMATS[name].file)
        assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]
        # the lowest of the opset by ONNX's own table; torch and the quantiser write 10
        least = onnx.helper.find_min_ir_version_for(model.opset_import)
        assert model.ir_version == least == 8


def test_the_same_weights_give_the_same_onnx_bytes(network, folder, tmp_path):
    source = make_source(copy.deepcopy(network))
    FORMATS["onnx"].write(source, MANIFEST, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (folder / "model.onnx").read_bytes()


def test_no_file_tells_about_this_machine(folder):
    texts = {path.name: path.read_bytes() for path in folder.glob("*.onnx")}
    for name in ("model.torchscript", "model.pt2"):
        with zipfile.ZipFile(folder / name) as archive:
            texts |= {f"{name}/{part}": archive.read(part) for part in archive.namelist()}
    for word in (os.getcwd(), str(Path(torch.__file__).parent), str(folder), "site-packages"):
        assert [name for name, text in texts.items() if word.encode() in text] == []


def test_a_lone_file_says_what_it_is(folder):
    properties = {p.key: p.value for p in onnx.load(folder / "model.onnx").metadata_props}
    with zipfile.ZipFile(folder / "model.torchscript") as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/extra/yolov2.json"))
        text = archive.read(name).decode()
    assert text == properties["yolov2.json"]
    said = json.loads(text)
    assert said["class_names"] == ["red", "größe", "🚗"]
    assert said["anchors"] == [[0.75, 1.5], [2.25, 1.25]]
    assert (said["image_size"], said["stride"]) == (96, 32)
    assert said["thresholds"] == {"confidence": 0.5, "nms": 0.45, "classes": [0.3, 0.5, 0.7]}
    assert (said["version"], said["precision"], said["variant"]) == (2, "fp32", "decoded")
    assert said["preprocessing"]["canvas_grey"] == 127
    assert said["input"]["shape"] == ["batch", 3, "height", "width"]
    assert open_onnx(folder / "model.onnx").manifest == MANIFEST
    assert open_torchscript(folder / "model.torchscript").manifest == MANIFEST
    assert open_pt2(folder / "model.pt2").manifest == MANIFEST
    assert open_onnx(folder / "model.int8.onnx").manifest.precision == "int8"
    assert open_onnx(folder / "model.nms.onnx").manifest.variant == "nms"


def test_a_foreign_graph_is_refused(folder, tmp_path):
    model = onnx.load(folder / "model.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(ValueError, match=r"foreign\.onnx: was not exported by yolov2"):
        open_onnx(tmp_path / "foreign.onnx")


def test_the_proof_of_a_true_export(network, folder):
    images = random_images(3)
    run = open_onnx(folder / "model.onnx").run
    difference = prove("model.onnx", run, run_module(network), images, ExportConfig())
    assert 0 < difference.box < 1e-3
    assert 0 < difference.score < 1e-5


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            lambda weights: weights * np.float32(1.01),
            r"box coordinates differ .* pixels, the tolerance is 0\.05 pixels",
        ),
        (
            lambda weights: weights * np.float32(np.nan),
            r"144 of 144 numbers .* are NaN or infinite",
        ),
    ],
    ids=["one percent", "nan"],
)
def test_a_perturbed_graph_fails_the_proof(network, folder, tmp_path, change, what):
    model = onnx.load(folder / "model.onnx")
    for tensor in model.graph.initializer:
        if tensor.name.endswith("output.weight"):
            weights = change(onnx.numpy_helper.to_array(tensor))
            tensor.CopyFrom(onnx.numpy_helper.from_array(weights, tensor.name))
            break
    else:
        pytest.fail("the last convolution was not found")
    onnx.save(model, tmp_path / "bent.onnx")
    run = open_onnx(tmp_path / "bent.onnx").run
    with pytest.raises(ExportError, match=rf"^bent\.onnx: {what}"):
        prove("bent.onnx", run, run_module(network), random_images(2), ExportConfig())


def constant(box: float, score: float, shape: tuple[int, ...] = (4, 7)):
    """A stand-in for a network: the same box and the same score everywhere."""

    def run(images):
        predictions = np.full((len(images), *shape), score, dtype=np.float32)
        predictions[..., :4] = box
        return predictions

    return run


def test_scores_are_held_to_their_own_tolerance():
    images = random_images(2)
    with pytest.raises(ExportError) as raised:
        prove("x.onnx", constant(20, 0.501), constant(20, 0.5), images, ExportConfig())
    assert str(raised.value) == (
        "x.onnx: scores differ from PyTorch by up to 0.001, the tolerance is 0.0005: the"
        " exported graph does not compute what was trained"
    )


def test_boxes_are_compared_as_detection_clips_them():
    # cx, cy, w, h all 20 and all 20.1: corners 10, 10, 30, 30 and 10.05, 10.05, 30.15, 30.15
    config = ExportConfig(box_tolerance=1)
    images = random_images(2)
    difference = prove("x", constant(20.1, 0.5), constant(20, 0.5), images, config)
    assert difference.box == pytest.approx(0.15, abs=1e-5)
    # 90 to 100: corners 45 and 135 against 50 and 150, of which 96 is the canvas' edge
    with pytest.raises(ExportError, match=r"by up to 5 pixels, the tolerance is 1 pixels"):
        prove("x", constant(100, 0.5), constant(90, 0.5), images, config)


def test_a_result_of_another_shape_is_no_proof():
    with pytest.raises(ExportError, match=r"shape \(1, 5, 7\) where PyTorch gives \(1, 4, 7\)"):
        prove("x", constant(1, 1, (5, 7)), constant(1, 1), random_images(2), ExportConfig())


@pytest.mark.parametrize(("given", "tried"), [(1, [1, 2]), (4, [1, 4])])
def test_two_batch_sizes_are_tried(given, tried):
    sizes = []

    def run(images):
        sizes.append(len(images))
        return constant(1, 0.5)(images)

    prove("x", run, constant(1, 0.5), random_images(given), ExportConfig())
    assert sizes == tried


def test_every_format_can_be_written_and_opened():
    assert set(FORMATS) == set(get_args(FormatName))
    assert set(CALIBRATED) <= set(FORMATS)
    assert {Path(kind.file).suffix for kind in FORMATS.values()} == set(GRAPHS)
    assert set(SUFFIXES) == {*GRAPHS, ".pt"}


NAN, INF = np.float32("nan"), np.float32("inf")


@pytest.mark.parametrize("precision", [FP32, FP16, BF16, INT8])
@pytest.mark.parametrize("value", [NAN, INF])
def test_a_file_that_gives_no_numbers_is_no_proof(precision, value):
    """One value of a box whose score of 0.01 no comparison of certain boxes looks at."""
    true = constant(20, 0.1)

    def broken(images):
        predictions = true(images)
        predictions[-1, 2, 1] = value
        return predictions

    images = random_images(3)
    with pytest.raises(ExportError) as raised:
        prove("x.onnx", broken, true, images, ExportConfig(), precision)
    assert str(raised.value) == (
        "x.onnx: 1 of 28 numbers that it predicts are NaN or infinite where PyTorch's are not: "
        + (
            "the exported graph does not compute what was trained"
            if precision == FP32
            else f"the activations of this network do not fit into {precision.name}, leave the"
            " format out of export.formats"
        )
    )


def test_a_checkpoint_that_gives_no_numbers_proves_nothing():
    with pytest.raises(ExportError, match=r"^x: PyTorch's own predictions hold NaN or infinite"):
        prove("x", constant(NAN, 0.5), constant(NAN, 0.5), random_images(2), ExportConfig(), FP16)


@pytest.mark.parametrize("precision", [FP16, BF16])
def test_rounded_scores_are_compared_where_no_box_is_certain(precision):
    images, config = random_images(2), ExportConfig()
    with pytest.raises(ExportError, match=r"^x: scores differ from PyTorch by up to 0\.3"):
        prove("x", constant(20, 0.45), constant(20, 0.15), images, config, precision)
    with pytest.raises(ExportError, match=r"^x: box coordinates differ from PyTorch by up to 30 p"):
        prove("x", constant(40, 0.15), constant(20, 0.15), images, config, precision)
    near = prove("x", constant(20.5, 0.16), constant(20, 0.15), images, config, precision)
    assert (near.box, near.score) == (pytest.approx(0.75), pytest.approx(0.01))


@pytest.mark.parametrize(
    ("name", "stands"), [("onnx-fp16", False), ("pt2-bf16", True), ("onnx", True)]
)
def test_half_precision_that_overflows_is_no_proof(network, tmp_path, name, stands):
    """Activations of a million, taken back by the next layer: float16 ends at 65,504."""
    large = copy.deepcopy(network)
    norms = [module for module in large.modules() if isinstance(module, nn.BatchNorm2d)]
    convolutions = [module for module in large.modules() if isinstance(module, nn.Conv2d)]
    norms[0].weight.data *= 1e6
    norms[0].bias.data *= 1e6
    convolutions[1].weight.data *= 1e-6
    large.network.output.bias.data.view(2, -1)[:, 4] = -3  # no box is certain
    kind, images = FORMATS[name], random_images(2)
    with torch.no_grad():
        wanted = large(torch.from_numpy(images)).numpy()
    assert 0.01 < (wanted[..., 4] * wanted[..., 5:].max(axis=-1)).max() < 0.25
    kind.write(make_source(large), kind.manifest(MANIFEST), tmp_path / kind.file)
    run = opened(tmp_path / kind.file)
    assert np.isfinite(run(images)).all() == stands
    if stands:
        prove("x", run, run_module(large), images, ExportConfig(), kind.precision)
    else:
        with pytest.raises(ExportError, match=r"^x: \d+ of \d+ numbers .* do not fit into fp16"):
            prove("x", run, run_module(large), images, ExportConfig(), kind.precision)
