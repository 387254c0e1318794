"""``pipeline standing`` before anything is there; with versions: ``test_store_of_0_1.py``."""

from pathlib import Path

import pytest

from pipeline import cli, paths
from pipeline.params.presets import DEMO, render
from pipeline.promotion.standing import NO_STORE, UNREGISTERED


def test_looking_makes_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    paths.PARAMS.write_text(render("demo", DEMO))
    assert cli.run(["standing"]) == 0
    assert capsys.readouterr().out == f"champion: none\n{NO_STORE}\n"
    paths.ONNX.parent.mkdir(parents=True)
    paths.ONNX.write_bytes(b"a graph")
    assert cli.run(["standing"]) == 0
    assert capsys.readouterr().out == f"champion: none\n{UNREGISTERED}\n"
    assert not list(tmp_path.glob("mlflow.db*"))
