"""Weights that are an address, for commands that take them."""

import json
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from tests.yolov2.detection.stand_in import NAMES, checkpoint, grey
from yolov2.cli import main
from yolov2.runtime import address


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder with an image, its annotations, and a registry of one model."""
    folder = tmp_path / "registry"
    folder.mkdir()
    checkpoint(folder)

    def find(text: str, suffixes: tuple[str, ...]) -> Path:
        if ".pt" not in suffixes or "/graphs" in text:
            raise ValueError(f"{text} has no file that ends in .pt (it has: model.onnx)")
        return folder / "best.pt"

    entry = EntryPoint("models", f"{__name__}:find", address.GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda self: find)
    monkeypatch.setattr(address, "entry_points", lambda group: EntryPoints([entry]))
    (tmp_path / "photos").mkdir()
    grey(99).save(tmp_path / "photos" / "0.png")
    truth = {
        "images": [{"id": 5, "file_name": "0.png", "width": 128, "height": 64}],
        "annotations": [{"image_id": 5, "category_id": 0, "bbox": [30, 5, 60, 50]}],
        "categories": [{"id": i, "name": name} for i, name in enumerate(NAMES)],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_registered_checkpoint_is_exported(place, capsys):
    export = ["export", "--source", "photos", "--formats", "torchscript", "--weights"]
    assert main([*export, "models:/yolov2@champion"]) == 0
    assert (place / "exported" / "model.torchscript").is_file()
    capsys.readouterr()
    assert main([*export, "models:/graphs/1"]) == 2
    assert capsys.readouterr().err == (
        "yolov2 export: error: models:/graphs/1 has no file that ends in .pt (it has: model.onnx)\n"
    )
    Path("model.onnx").touch()
    assert main([*export, "model.onnx"]) == 2
    assert capsys.readouterr().err == (
        "yolov2 export: error: model.onnx is no checkpoint: its name must end in .pt\n"
    )


def test_a_registered_checkpoint_is_described(place, capsys):
    assert main(["info", "--weights", "models:/yolov2@champion"]) == 0
    assert "classes 2, width 0.05, input 64 px" in capsys.readouterr().out


def test_the_report_of_a_registered_model_has_a_folder_of_its_own(place, capsys):
    before = set(place.iterdir())
    given = ["--annotations", "truth.json", "--images", "photos", "--resamples", "0"]
    options = [*given, "--device", "cpu", "--split", "val"]
    assert main(["evaluate", "--weights", "models:/yolov2@champion", *options]) == 0
    folder = Path("runs/evaluate/yolov2@champion")
    assert f"report: {folder}/metrics.json, {folder}/evaluate" in capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir()) == [
        "evaluate",
        "evaluation.json",
        "metrics.json",
        "thresholds.json",
    ]
    assert set(place.iterdir()) == before | {place / "runs"}
    assert main(["evaluate", "--weights", "models:/yolov2/3", *options]) == 0
    assert "report: runs/evaluate/yolov2-3/metrics.json" in capsys.readouterr().out
