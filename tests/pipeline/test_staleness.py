"""What makes the stage ``validate`` stale: the data dependencies of the real ``dvc.yaml``."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.params.presets import DEMO, render
from tests.datasets import picture, write_dataset

ROOT = Path(__file__).parents[2]


def dvc(workspace: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=workspace,
        env=os.environ | {"DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def stale(workspace: Path) -> bool:
    return "validate" in json.loads(dvc(workspace, "status", "--json"))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC repository whose ``validate`` reads its data as the real one does, reproduced once.

    The data set lies outside of it and is named by ``data.config`` alone.
    """
    top = tmp_path_factory.mktemp("staleness")
    write_dataset(top / "mine", {"train": {"a": "0 .5 .5 .2 .2", "b": "1 .4 .4 .2 .2"}})
    workspace = top / "workspace"
    workspace.mkdir()
    real = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["validate"]
    data = [dep for dep in real["deps"] if dep.startswith("${")]
    assert len(data) == 2
    stage = {"cmd": "echo run >> runs.txt", "deps": data, "params": ["data"]}
    (workspace / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"validate": stage}}))
    text = render("demo", DEMO).replace("data/digits/digits.yaml", "../mine/data.yaml")
    (workspace / "params.yaml").write_text(text)
    dvc(workspace, "init", "--no-scm")
    dvc(workspace, "repro")
    assert not stale(workspace)
    return workspace


@pytest.mark.parametrize(
    "name",
    ["images/train/a.jpg", "labels/train/a.txt", "images/train/new.jpg", "labels/train/new.txt",
     "data.yaml"],
)  # fmt: skip
def test_one_changed_or_added_file_is_noticed(workspace: Path, name: str) -> None:
    file = workspace.parent / "mine" / name
    before = file.read_bytes() if file.exists() else None
    file.write_bytes(picture(64) if name.endswith("jpg") else (before or b"") + b"\n")
    try:
        assert stale(workspace)
    finally:
        if before is None:
            file.unlink()
        else:
            file.write_bytes(before)
    assert not stale(workspace)


@pytest.mark.parametrize("name", ["images/train/b.jpg", "labels/train/b.txt"])
def test_one_deleted_file_is_noticed(workspace: Path, name: str) -> None:
    file = workspace.parent / "mine" / name
    content = file.read_bytes()
    file.unlink()
    try:
        assert stale(workspace)
    finally:
        file.write_bytes(content)
    assert not stale(workspace)


def test_another_data_set_is_one_parameter(workspace: Path) -> None:
    write_dataset(workspace.parent / "other", {"train": {"z": "0 .5 .5 .3 .3"}})
    params = workspace / "params.yaml"
    text = params.read_text()
    params.write_text(text.replace("../mine/", "../other/"))
    try:
        assert stale(workspace)
    finally:
        params.write_text(text)
