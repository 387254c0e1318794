"""Model files and addresses: what opens, and the sentence where it does not."""

import json
import zipfile
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
import torch

from yolov2.network.checkpoint import save_checkpoint
from yolov2.network.yolov2 import YOLOv2
from yolov2.runtime import address, model_file
from yolov2.runtime.address import resolve
from yolov2.runtime.manifest import Manifest
from yolov2.runtime.model_file import open_model


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = YOLOv2(2, ((1.0, 2.0), (3.0, 1.5)), width=0.05)
    torch.nn.init.normal_(network.output.weight, std=0.1)
    path = tmp_path / "best.pt"
    save_checkpoint(path, network, class_names=("cat", "dog"), image_size=64)
    return path


def test_checkpoint_opens(checkpoint: Path) -> None:
    model = open_model(str(checkpoint), "cpu")
    with torch.inference_mode():
        assert model.predict(torch.rand(3, 3, 64, 96)).shape == (3, 2 * 2 * 3, 7)
    assert (model.path, model.device.type) == (checkpoint, "cpu")
    assert model.manifest.thresholds == (0.5, 0.5)


def test_half_on_a_processor_is_bfloat16(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.rand(2, 3, 64, 64)
    monkeypatch.setattr(model_file, "has_bfloat16", lambda device: True)
    with torch.inference_mode():
        wanted = open_model(checkpoint, "cpu").predict(images)
        found = open_model(checkpoint, "cpu", half=True).predict(images)
    assert found.dtype == torch.float32
    assert 0 < (found[..., 4:] - wanted[..., 4:]).abs().max() < 0.02
    monkeypatch.setattr(model_file, "has_bfloat16", lambda device: False)
    with pytest.raises(ValueError, match=r"^--half needs a processor with bfloat16"):
        open_model(checkpoint, "cpu", half=True)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.onnx", b"no graph", r"x\.onnx is no ONNX graph that can be run: "),
        ("x.torchscript", b"no archive", r"x\.torchscript is no TorchScript file \("),
        ("x.pt2", b"no archive", r"x\.pt2 is no program of torch\.export \("),
        ("x.pt", b"no archive", r"x\.pt is no readable checkpoint"),
        ("x.weights", b"darknet", r"x\.weights is no model file: its name must end in \.onnx"),
    ],
)
def test_foreign_files_are_refused(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        open_model(tmp_path / name)


def write_damaged(path: Path, content: bytes, damage: str) -> None:
    """A file that was cut off, or has other bytes in its last third, where the weights are."""
    place = 2 * len(content) // 3
    whole = {
        "cut off": content[:place],
        "changed": content[:place] + bytes(64) + content[place + 64 :],
    }
    path.write_bytes(whole[damage])


@pytest.mark.parametrize(
    ("name", "damage", "sentence"),
    [
        (
            "model.torchscript",
            "cut off",
            r" is no TorchScript file \(not a whole zip archive\): it ",
        ),
        (
            "model.torchscript",
            "changed",
            r" is a damaged TorchScript file \(.* does not fit its ch",
        ),
        (
            "model.pt2",
            "cut off",
            r" is no program of torch\.export \(not a whole zip archive\): it",
        ),
        (
            "model.pt2",
            "changed",
            r" is a damaged program of torch\.export \(.* does not fit its ch",
        ),
        (
            "model.onnx",
            "cut off",
            r" is no ONNX graph that can be run: damaged, or something else ",
        ),
        (
            "best.pt",
            "cut off",
            " is no readable checkpoint: damaged, or not made by `yolov2 train` ",
        ),
        ("best.pt", "changed", " is damaged: its content does not fit its checksum$"),
    ],
)
def test_damaged_files_are_one_line(
    graphs: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    name: str,
    damage: str,
    sentence: str,
) -> None:
    open_model(graphs / name, "cpu")
    capfd.readouterr()
    path = tmp_path / name
    write_damaged(path, (graphs / name).read_bytes(), damage)
    with pytest.raises(ValueError, match=f"^{path}{sentence}") as error:
        open_model(path, "cpu")
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", ""), "torch and ONNX Runtime say nothing by themselves"


def test_a_graph_of_odd_bytes_is_one_line(
    graphs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Names that are no UTF-8: ONNX Runtime's error is not either, and ends in one of Python's."""
    path = tmp_path / "x.onnx"
    content = (graphs / "model.onnx").read_bytes()
    path.write_bytes(content.replace(b"leaky_relu", b"leaky\xff\xfeelu", 1))
    with pytest.raises(ValueError, match=r"x\.onnx is no ONNX graph that can be run: ") as error:
        open_model(path, "cpu")
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_an_archive_of_something_else_is_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, sentence in (
        ("x.pt2", r"x\.pt2 is no program of torch\.export \(RuntimeError: "),
        ("x.torchscript", r"x\.torchscript is no TorchScript file \(RuntimeError: "),
    ):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("letter.txt", "dear reader")
        with pytest.raises(ValueError, match=sentence) as error:
            open_model(tmp_path / name, "cpu")
        assert "\n" not in str(error.value)
    assert caplog.text == ""
    assert capfd.readouterr() == ("", "")


def test_foreign_torchscript_has_no_manifest(tmp_path: Path) -> None:
    with pytest.warns(match="deprecated"):
        torch.jit.save(torch.jit.trace(torch.nn.ReLU(), torch.ones(1)), tmp_path / "x.torchscript")
    with pytest.raises(ValueError, match=r"x\.torchscript: was not exported by yolov2 \(it holds"):
        open_model(tmp_path / "x.torchscript")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no model at .*gone\.onnx: give \.onnx, \.pt, "):
        open_model(tmp_path / "gone.onnx")


def test_half_of_a_graph(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").touch()
    with pytest.raises(ValueError, match=r"in the type that it was exported with: leave out --ha"):
        open_model(tmp_path / "x.onnx", half=True)


def test_manifest_of_version_1_is_read() -> None:
    old = {
        "format": "yolov2-detector",
        "version": 1,
        "class_names": ["cat", "dog"],
        "anchors": [[1, 2]],
        "image_size": 96,
        "thresholds": {"confidence": 0.4, "nms": 0.6},
    }
    manifest = Manifest.from_json(json.dumps(old), "old.onnx")
    assert manifest == Manifest(
        class_names=("cat", "dog"),
        anchors=((1.0, 2.0),),
        image_size=96,
        conf_threshold=0.4,
        nms_threshold=0.6,
        dynamic_size=False,
    )
    assert manifest.thresholds == (0.4, 0.4)
    with pytest.raises(ValueError, match=r"new\.onnx: was not exported by this version .* ver"):
        Manifest.from_json(json.dumps(old | {"version": 3}), "new.onnx")


def find_cat(text: str, suffixes: tuple[str, ...]) -> Path:
    return Path(text.removeprefix("cats:/") + suffixes[0])


def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("cats", f"{__name__}:find_cat", address.GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda self: find_cat)
    monkeypatch.setattr(address, "entry_points", lambda group: EntryPoints([entry]))
    assert resolve("cats:/tom@best", prefer=(".onnx", ".pt")) == Path("tom@best.onnx")
    assert resolve(Path("some/where.pt"), prefer=()) == Path("some/where.pt")
    assert resolve("C:/models/best.pt", prefer=()) == Path("C:/models/best.pt")
    sentence = (
        r"^dogs:/rex: nothing installed here finds weights at 'dogs:/' addresses \(known: cats:/\):"
        r" give the path of a file$"
    )
    with pytest.raises(ValueError, match=sentence):
        resolve("dogs:/rex", prefer=())
