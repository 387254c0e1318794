"""Which versions a run is said to have been made with."""

from importlib.metadata import version
from pathlib import Path

import pytest

from pipeline.workspace.identity import collect_identity


def test_versions_have_this_project_and_what_is_imported_where_two_are_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, number in (("first", "2.0"), ("second", "1.0")):
        folder = tmp_path / place / f"shadowed-{number}.dist-info"
        folder.mkdir(parents=True)
        text = f"Metadata-Version: 2.1\nName: Shadowed\nVersion: {number}\n"
        (folder / "METADATA").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path / "second"))
    monkeypatch.syspath_prepend(str(tmp_path / "first"))
    monkeypatch.chdir(tmp_path)
    found = collect_identity("train").versions
    assert found["shadowed"] == version("shadowed") == "2.0"
    assert found["yolov2-pipeline"] == version("yolov2-pipeline")
