"""Stage ``export``: proven graphs of the checkpoint and the report of the proof."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline import export
from pipeline.running.recorder import Recorder
from pipeline.tracking.connection import connect
from tests.pipeline.tracked import KEY, files, runs
from tests.tables import make_tables
from yolov2.config.export import ExportConfig
from yolov2.export import artefacts
from yolov2.export.evidence import Evidence, spread
from yolov2.export.formats import FORMATS
from yolov2.export.onnx_graph import ExportError
from yolov2.files import file_sha256
from yolov2.network.checkpoint import load_detector, save_checkpoint
from yolov2.network.decode import DecodedYOLOv2
from yolov2.network.yolov2 import YOLOv2
from yolov2.runtime.graphs import open_onnx, run_module

PARAMS = """\
data: {config: data/set.yaml}
evaluate: {split: val}
export: {images: 3, box_tolerance: 0.01, calibration_images: 1, max_ap_loss: 0.5}
"""


def random_network(seed: int) -> YOLOv2:
    """A network that says something else everywhere, unlike one at the start of a training."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = YOLOv2(2, [(1.0, 1.0), (2.0, 3.0), (4.0, 2.0)], width=0.05)
        torch.nn.init.normal_(network.output.weight, std=0.1)
    return network.eval()


@pytest.fixture
def stage(repository):
    """A folder with four validation images, tables of them and a checkpoint; the working one."""
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
    record = {"key": KEY, "parameters": {"train": {"lr": 0.1}}}
    Path("artifacts/training.json").write_text(json.dumps(record))
    thresholds = {"thing": {"threshold": 0.25}}  # "other" has no objects to find one on
    Path("models/thresholds.json").write_text(json.dumps({"classes": thresholds}))
    return repository


FILES = {
    "onnx": "model.onnx",
    "onnx-nms": "model.nms.onnx",
    "onnx-int8": "model.int8.onnx",
    "torchscript": "model.torchscript",
    "pt2": "model.pt2",
}


def test_stage_writes_all_files_and_the_report(stage, capsys):
    export.main()
    report = json.loads(Path("reports/export.json").read_text())
    assert report["images"] == 3
    assert report["tolerance"] == {"box": 0.01, "score": 0.0005}
    assert (report["ap_measured_on"], report["max_ap_loss"]) == ("val", 0.5)
    assert {name: said["file"] for name, said in report["artefacts"].items()} == FILES
    for name, said in report["artefacts"].items():
        content = Path("models/exported", said["file"]).read_bytes()
        assert said["bytes"] == len(content)
        assert said["sha256"] == hashlib.sha256(content).hexdigest()
        assert report["latency_ms"][name] > 0
        if said["precision"] == "fp32":
            assert 0 <= said["max_difference"]["box"] <= 0.01
            assert 0 <= said["max_difference"]["score"] <= 0.0005
            assert said["AP"] == pytest.approx(report["pytorch"]["AP"], abs=1e-3)
    assert report["artefacts"]["onnx-int8"]["precision"] == "int8"
    assert report["artefacts"]["onnx"]["opset"] == 18
    assert report["artefacts"]["onnx"]["ir_version"] == 8
    assert report["artefacts"]["torchscript"]["opset"] is None
    assert report["artefacts"]["torchscript"]["ir_version"] is None
    assert report["thresholds"] == {"confidence": {"thing": 0.25, "other": 0.5}, "nms": 0.5}
    assert sorted(path.name for path in Path("models/exported").iterdir()) == sorted(FILES.values())
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("  ")[0] for line in lines] == [
        f"models/exported/{file}" for file in FILES.values()
    ]
    table = Path("reports/export.md").read_text()
    assert "| onnx-int8 | `model.int8.onnx` | int8 |" in table
    assert (
        "AP is optimistic: a training chooses its checkpoint by the val split; on new images expect"
        " less." in table
    )
    images = np.random.default_rng(1).random((2, 3, 64, 64), dtype=np.float32)
    graph = open_onnx(Path("models/exported/model.onnx"))
    checkpoint = run_module(DecodedYOLOv2(load_detector(Path("models/best.pt")).network))
    np.testing.assert_allclose(graph.run(images), checkpoint(images), atol=1e-4)
    assert graph.manifest.class_names == ("thing", "other")
    assert graph.manifest.class_thresholds == (0.25, 0.5)
    assert len(graph.manifest.data_digest) == 64
    (run,) = runs(connect("yolov2"), "export")
    assert run.info.status == "FINISHED"
    assert run.data.metrics["onnx/bytes"] == report["artefacts"]["onnx"]["bytes"]
    assert run.data.tags["result"] == file_sha256(Path("reports/export.json"))
    assert run.data.params["train.lr"] == "0.1"
    stored = files(connect("yolov2"), run.info.run_id)
    assert {"export.json", "export.md", "identity/identity.json"} <= stored
    assert run.info.run_id not in Path("reports/export.json").read_text()


def leave_report(content: object, folder: Path) -> None:
    """What an earlier export left: its report, and the graph that this lists."""
    Path("reports").mkdir()
    Path("reports/export.json").write_text(json.dumps(content))
    Path("reports/export.md").write_text("proven")
    (folder / "model.onnx").write_bytes(b"of an earlier export")


@pytest.mark.usefixtures("stage", "unrecorded")
def test_an_export_of_other_formats_leaves_no_older_file():
    Path("models/exported").mkdir()
    leave_report({"artefacts": {"onnx": {"file": "model.onnx"}}}, Path("models/exported"))
    Path("params.yaml").write_text(PARAMS.replace("{images", "{formats: [torchscript], images"))
    export.main()
    assert [path.name for path in Path("models/exported").iterdir()] == ["model.torchscript"]
    assert list(json.loads(Path("reports/export.json").read_text())["artefacts"]) == ["torchscript"]


@pytest.mark.usefixtures("stage", "unrecorded")
@pytest.mark.parametrize("content", ["[]", "{", '{"artefacts": {"onnx": {}}}', "\xff"])
def test_a_damaged_report_of_an_earlier_export_is_replaced(content):
    Path("reports").mkdir()
    Path("reports/export.json").write_bytes(content.encode("latin-1"))
    Path("params.yaml").write_text(PARAMS.replace("{images", "{formats: [torchscript], images"))
    export.main()
    assert "torchscript" in json.loads(Path("reports/export.json").read_text())["artefacts"]


@pytest.mark.usefixtures("stage", "unrecorded")
def test_a_checkpoint_that_cannot_be_read_leaves_the_earlier_export():
    Path("models/exported").mkdir()
    leave_report({"artefacts": {"onnx": {"file": "model.onnx"}}}, Path("models/exported"))
    Path("models/best.pt").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="models/best.pt is no readable checkpoint"):
        export.main()
    assert Path("models/exported/model.onnx").exists()
    assert Path("reports/export.md").read_text() == "proven"


@pytest.mark.usefixtures("unrecorded")
def test_a_graph_of_other_weights_fails_and_leaves_no_file(stage, monkeypatch):
    true_format = FORMATS["torchscript"]

    def write_another(source, manifest, path):
        true_format.write(replace(source, network=random_network(1)), manifest, path)

    false_format = replace(true_format, write=write_another)
    monkeypatch.setitem(artefacts.FORMATS, "torchscript", false_format)
    older = stage / "models/exported/model.torchscript"
    older.parent.mkdir()
    older.write_bytes(b"of an earlier export")
    earlier = {"artefacts": {"onnx": {"file": "model.onnx"}, "?": {"file": "../best.pt"}}}
    leave_report(earlier, older.parent)
    (older.parent / "model.int8.onnx").write_bytes(b"of somebody else")
    formats = "{formats: [pt2, torchscript], images"
    Path("params.yaml").write_text(PARAMS.replace("{images", formats))
    with pytest.raises(
        ExportError,
        match=r"^models/exported/model\.torchscript: box coordinates differ from PyTorch by up to"
        r" \d.* pixels, the tolerance is 0\.01 pixels: ",
    ):
        export.main()
    # nor is the .pt2 kept, which was proven; what no report of ours lists is not ours
    assert [path.name for path in older.parent.iterdir()] == ["model.int8.onnx"]
    assert list(Path("reports").iterdir()) == []
    assert Path("models/best.pt").exists()


@pytest.mark.usefixtures("unrecorded")
def test_a_file_that_loses_average_precision_fails(stage, monkeypatch):
    scores = iter([{"AP": 0.61, "AP50": 0.9}, {"AP": 0.55, "AP50": 0.9}])
    monkeypatch.setattr(artefacts, "score_model", lambda *_: next(scores))
    text = PARAMS.replace("{images", "{formats: [torchscript], images").replace("0.5}", "0.05}")
    Path("params.yaml").write_text(text)
    with pytest.raises(ExportError) as raised:
        export.main()
    assert str(raised.value).startswith(
        "models/exported/model.torchscript: its AP on val is 0.5500, which is 0.0600 below"
        " PyTorch's 0.6100; export.max_ap_loss allows 0.05: nothing is kept."
    )
    assert list((stage / "models/exported").iterdir()) == []


def test_int8_needs_a_data_set(stage):
    evidence = Evidence(images=sorted((stage / "data/images/val").iterdir()))
    places = artefacts.Places(folder=stage, reports=())
    with pytest.raises(ValueError, match=r"^onnx-int8 is calibrated on training images .* --data"):
        list(artefacts.export_checkpoint(Path("models/best.pt"), places, evidence, ExportConfig()))


@pytest.mark.usefixtures("unrecorded")
def test_thresholds_of_other_classes(stage):
    Path("models/thresholds.json").write_text('{"classes": {"cow": {"threshold": 0.1}}}')
    with pytest.raises(ValueError, match="thresholds are of another model: it has no class cow"):
        export.main()
    Path("models/thresholds.json").write_text('{"classes": {"thing": {"threshold": 1.5}}}')
    with pytest.raises(ValueError, match=r"holds no thresholds as .* \(thing: 1.5 is not"):
        export.main()
    Path("models/thresholds.json").write_text("[]")
    with pytest.raises(ValueError, match=r"^models/thresholds\.json holds no thresholds as"):
        export.main()
    Path("models/thresholds.json").unlink()
    with pytest.raises(ValueError, match=r"^no thresholds at models/thresholds\.json: `yolov2"):
        export.main()


def test_images_come_from_all_over_the_split():
    tables = make_tables([("train", 8, 8, [])] + [("test", 8, 8, [])] * 10, ["thing"])
    chosen = spread(tables, "test", 4)
    assert chosen == [f"images/test/{i:04d}.png" for i in (1, 3, 6, 8)]
    assert len(spread(tables, "test", 50)) == 10
    with pytest.raises(ValueError, match=r"split 'val', which the data set does not have \(it has"):
        spread(tables, "val", 4)


def test_an_edit_while_the_recorder_is_waited_for_leaves_the_stage_stale(
    stage, monkeypatch, unrecorded
):
    stages = {"export": {"params": ["export"]}}
    Path("dvc.yaml").write_text(json.dumps({"stages": stages}))

    text = PARAMS.replace("{images", "{formats: [torchscript], images")
    Path("params.yaml").write_text(text)

    def then_edit(recorder, status):
        recorder.process.wait()
        Path("params.yaml").write_text(text.replace("images: 3", "images: 2"))

    monkeypatch.setattr(Recorder, "finish", then_edit)
    with pytest.raises(ValueError, match="stage export ran: params.yaml: export.images 3, now 2"):
        export.main()
