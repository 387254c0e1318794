"""Weights at ``models:/...``."""

import pickle
from pathlib import Path

import pytest

from pipeline import paths
from pipeline.registry.register import register
from pipeline.registry.weights import find
from tests.pipeline import tracked
from tests.pipeline.tracked import CONFIG
from yolov2.runtime.address import resolve
from yolov2.runtime.model_file import open_model


def test_registered_version_is_found(repository: Path) -> None:
    result = tracked.leave_result(repository)
    register(CONFIG)
    graph = resolve("models:/trial-model@challenger", prefer=(".onnx", ".pt"))
    assert graph.read_bytes() == (result / paths.ONNX).read_bytes()
    assert find("models:/trial-model/1", (".pt", ".onnx")).read_bytes() == b"weights"
    model = open_model("models:/trial-model/1")
    assert model.manifest.class_names == ("cat", "dog", "owl")
    for address, sentence in (
        ("models:/trial-model@best", r"has no version 'best' \(it has: 1, @challenger\)"),
        ("models:/trial-model/7", r"has no version '7' \(it has: 1, @challenger\)"),
        ("models:/other/1", "no model 'other' is registered"),
        ("models:/trial-model", "write it as models:/name@alias or models:/name/version"),
    ):
        with pytest.raises(ValueError, match=f"^{address}: .*{sentence}|^{address}: {sentence}"):
            find(address, (".onnx",))
    with pytest.raises(ValueError, match=r"has no file that ends in \.pt2 \(it has: best\.pt, mod"):
        find("models:/trial-model/1", (".pt2",))


def test_code_in_a_registered_package_is_not_run_by_looking(
    repository: Path, tmp_path: Path
) -> None:
    """Only ``serve`` runs it; detection takes the graph out of the package."""
    tracked.leave_result(repository)
    register(CONFIG)
    package = find("models:/trial-model/1", (".onnx",)).parents[1]
    marker = tmp_path / "marker"
    scripts = list(package.rglob("*.py"))
    assert package.joinpath("MLmodel").is_file()
    assert len(scripts) > 5
    for file in scripts:
        file.write_text(f"import os\nos.mkdir({str(marker)!r})\n")
    (package / "python_model.pkl").write_bytes(pickle.dumps(marker))
    assert open_model("models:/trial-model/1").manifest.class_names == ("cat", "dog", "owl")
    assert not marker.exists()


def test_thresholds_come_with_the_checkpoint(repository: Path) -> None:
    result = tracked.leave_result(repository)
    (result / paths.THRESHOLDS).write_text("{}")
    register(CONFIG)
    found = find("models:/trial-model/1", (".pt",))
    assert (found.name, found.with_name("thresholds.json").read_text()) == ("best.pt", "{}")


def test_no_store_is_made_by_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"^models:/a@b: there is no store of models at .*mlflow"):
        find("models:/a@b", (".onnx",))
    assert list(tmp_path.iterdir()) == []
