"""Stage ``export``: proven graphs of the checkpoint and the report of the proof."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline import export
from tests.tables import make_tables
from yolov2.detection import artefacts
from yolov2.detection.export import ExportError
from yolov2.detection.proof import open_onnx, run_module
from yolov2.network.checkpoint import load_detector, save_checkpoint
from yolov2.network.decode import DecodedYOLOv2
from yolov2.network.yolov2 import YOLOv2

PARAMS = """\
data: {config: data/set.yaml}
evaluate: {split: val}
export: {images: 3, box_tolerance: 0.01}
"""


def random_network(seed: int) -> YOLOv2:
    """A network that says something else everywhere, unlike one at the start of a training."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = YOLOv2(2, [(1.0, 1.0), (2.0, 3.0), (4.0, 2.0)], width=0.05)
        torch.nn.init.normal_(network.output.weight, std=0.1)
    return network.eval()


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """A folder with four validation images, tables of them and a checkpoint; the working one."""
    monkeypatch.chdir(tmp_path)
    rows = [("train", 32, 32, [(0, 0, 0, 9, 9)])]
    rows += [("val", 64 + 16 * i, 48, [(0, 5, 5, 25, 35)]) for i in range(4)]
    tables = make_tables(rows, ["thing", "other"])
    tables.write(Path("artifacts"))
    rng = np.random.default_rng(0)
    for row in tables.images.itertuples():
        path = Path("data", row.image)
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (row.height, row.width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    Path("data/set.yaml").write_text("train: images/train\nval: images/val\nnames: [thing, other]")
    save_checkpoint(
        Path("models/best.pt"), random_network(0), class_names=("thing", "other"), image_size=64
    )
    Path("params.yaml").write_text(PARAMS)
    return tmp_path


@pytest.mark.usefixtures("stage")
def test_stage_writes_both_graphs_and_the_report(capsys):
    export.main()
    report = json.loads(Path("reports/export.json").read_text())
    assert report["images"] == 3
    assert report["tolerance"] == {"box": 0.01, "score": 0.0005}
    assert set(report["artefacts"]) == {"onnx", "torchscript"}
    for name, file in (("onnx", "model.onnx"), ("torchscript", "model.torchscript")):
        said, content = report["artefacts"][name], Path("models", file).read_bytes()
        assert said["file"] == file
        assert said["bytes"] == len(content)
        assert said["sha256"] == hashlib.sha256(content).hexdigest()
        assert 0 <= said["max_difference"]["box"] <= 0.01
        assert 0 <= said["max_difference"]["score"] <= 0.0005
        assert report["latency_ms"][name] > 0
    assert report["artefacts"]["onnx"]["opset"] == 18
    assert report["artefacts"]["torchscript"]["opset"] is None
    assert report["latency_ms"]["pytorch"] > 0
    assert sorted(path.name for path in Path("models").iterdir()) == [
        "best.pt", "model.onnx", "model.torchscript",
    ]  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("  ")[0] for line in lines] == [
        "models/model.onnx", "models/model.torchscript",
    ]  # fmt: skip
    images = np.random.default_rng(1).random((2, 3, 64, 64), dtype=np.float32)
    graph = open_onnx(Path("models/model.onnx"))
    checkpoint = run_module(DecodedYOLOv2(load_detector(Path("models/best.pt")).network))
    np.testing.assert_allclose(graph.run(images), checkpoint(images), atol=1e-4)
    assert graph.manifest.class_names == ("thing", "other")
    assert (graph.manifest.conf_threshold, graph.manifest.nms_threshold) == (0.5, 0.5)


def test_a_graph_of_other_weights_fails_and_leaves_no_file(stage, monkeypatch):
    def write_another(network, manifest, path):
        shutil.copy(stage / "models/best.pt", path)

    def open_another(path):
        return artefacts.Artefact(run=run_module(DecodedYOLOv2(random_network(1))), manifest=None)

    false_format = artefacts.Format(
        name="onnx", file="model.onnx", write=write_another, open=open_another, opset=18
    )
    monkeypatch.setattr(artefacts, "FORMATS", (false_format,))
    with pytest.raises(
        ExportError,
        match=r"^models/model\.onnx: box coordinates differ from PyTorch by up to \d.* pixels,"
        r" the tolerance is 0\.01 pixels: ",
    ):
        export.main()
    assert [path.name for path in Path("models").iterdir()] == ["best.pt"]
    assert not Path("reports/export.json").exists()


def test_images_come_from_all_over_the_split():
    tables = make_tables([("train", 8, 8, [])] + [("test", 8, 8, [])] * 10, ["thing"])
    chosen = export.spread(tables, "test", 4)
    assert chosen == [f"images/test/{i:04d}.png" for i in (1, 3, 6, 8)]
    assert len(export.spread(tables, "test", 50)) == 10
    with pytest.raises(ValueError, match=r"split 'val', which the data set does not have \(it has"):
        export.spread(tables, "val", 4)
