"""The stage ``links``: a change behind a linked folder reaches ``validate`` through real DVC."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import links, paths
from pipeline.links import digests
from pipeline.params.presets import DEMO, render
from pipeline.workspace.copies import link_plain_data, past_tree, share_dvc
from tests.datasets import write_dataset
from tests.pipeline.tiny import dvc

ROOT = Path(__file__).parents[2]
BOX = "0 .5 .5 .2 .2"


def stage(name: str) -> dict[str, Any]:
    """A stage of the real ``dvc.yaml`` without its code, which does not lie here."""
    real: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][name]
    return real | {"deps": [dep for dep in real["deps"] if not dep.endswith(".py")]}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC project with the real stage ``links``, and a ``validate`` that counts its runs.

    Of the data set's images only ``train`` is in it: a link to another disk.
    """
    top = tmp_path_factory.mktemp("links")
    disk = write_dataset(top / "disk", {"train": {"a": BOX, "b": BOX}}).parent
    here = top / "here"
    mine = write_dataset(here / "mine", {"train": {}, "val": {"v": BOX}}).parent
    for kind in ("images", "labels"):
        (mine / kind / "train").rmdir()
        (mine / kind / "train").symlink_to(disk / kind / "train")
    validate = stage("validate")
    assert str(paths.LINKS) in validate["deps"]
    validate = {"cmd": "echo run >> runs.txt", "deps": validate["deps"], "params": ["data"]}
    stages = {"links": stage("links"), "validate": validate}
    (here / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    text = render("demo", DEMO).replace("data/digits/digits.yaml", "mine/data.yaml")
    (here / "params.yaml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        dvc("init", "-q", "--no-scm")
    return here


@pytest.fixture
def here(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return project


def runs() -> int:
    """How often ``validate`` has run after another ``dvc repro``."""
    dvc("repro", "-q")
    return Path("runs.txt").read_text().count("run")


def test_a_change_behind_a_link_makes_validate_stale(here: Path) -> None:
    assert stage("links")["always_changed"] is True
    assert runs() == 1
    assert set(json.loads(paths.LINKS.read_text())) == {"images/train", "labels/train"}
    assert runs() == 1
    label = here.parent / "disk/labels/train/a.txt"
    label.write_text("1 .5 .5 .2 .2\n")
    assert runs() == 2
    (here.parent / "disk/images/train/new.jpg").write_bytes(b"new")
    dvc("repro", "-q", "links")
    assert "validate" in json.loads(dvc("status", "--json"))
    assert runs() == 3
    assert runs() == 3


def test_dvc_alone_would_not_see_it(here: Path) -> None:
    """Why the stage is there; if DVC follows such links one day, it may go."""
    dvc("repro", "-q")
    state = json.loads(dvc("status", "--json"))
    assert state == {"links": ["always changed"]}
    (here.parent / "disk/labels/train/b.txt").write_text("1 .4 .4 .2 .2\n")
    assert json.loads(dvc("status", "--json")) == state


def test_a_working_copy_sees_behind_the_links_too(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flows and ``pipeline reproduce`` run in one, whose data are links to the project's."""
    shutil.copytree(here, tmp_path / "here", symlinks=True, ignore=_dvc_and_results)
    project = tmp_path / "here"
    for command in (
        ["init", "-q"],
        ["add", "dvc.yaml", "params.yaml", "mine/data.yaml", ".dvc", ".dvcignore"],
        ["commit", "-qm", "data are on another disk"],
    ):
        subprocess.run(["git", *command], cwd=project, check=True)
    label = here.parent / "disk/labels/train/a.txt"
    with past_tree(project, "HEAD", b"") as copy:
        link_plain_data(copy)
        share_dvc(copy, tmp_path / "cache")
        monkeypatch.chdir(copy.root)
        assert runs() == 1
        assert "images" in json.loads(paths.LINKS.read_text())
        assert runs() == 1
        label.write_text("1 .3 .3 .2 .2\n")
        assert runs() == 2
        monkeypatch.chdir(project)
    assert (project / "mine/images/train").is_symlink()
    assert label.exists()


def _dvc_and_results(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in ("artifacts", "dvc.lock", "runs.txt", "cache", "tmp")]


def write(root: Path, config: str = "set/data.yaml", inside: str = ".") -> None:
    (root / "params.yaml").write_text(f"data:\n  config: {config}\n  root: {inside}\n")


def test_without_links_there_is_nothing_to_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "set", {"train": {"a": BOX}})
    file = tmp_path / "elsewhere.jpg"
    file.write_bytes(b"x")
    (tmp_path / "set/images/train/one.jpg").symlink_to(file)  # DVC follows links to files
    (tmp_path / "set/broken").symlink_to("nowhere")
    write(tmp_path)
    links.main()
    assert json.loads(paths.LINKS.read_text()) == {}


def test_a_root_that_is_a_link_itself_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC follows that one."""
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "disk", {"train": {"a": BOX}})
    (tmp_path / "set").symlink_to("disk")
    write(tmp_path)
    links.main()
    assert json.loads(paths.LINKS.read_text()) == {}
    (tmp_path / "far").mkdir()
    (tmp_path / "disk/more").symlink_to(tmp_path / "far")
    links.main()
    assert list(json.loads(paths.LINKS.read_text())) == ["more"]


def test_the_root_is_seen_from_the_description(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "about").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "far").mkdir()
    (tmp_path / "data/linked").symlink_to("../far")
    write(tmp_path, "about/data.yaml", "../data")
    links.main()
    assert list(json.loads(paths.LINKS.read_text())) == ["linked"]
    write(tmp_path, "about/data.yaml", "../gone")
    links.main()
    assert json.loads(paths.LINKS.read_text()) == {}


def test_cycles_end_and_the_digest_is_of_what_lies_behind(tmp_path: Path) -> None:
    root, far = tmp_path / "root", tmp_path / "far"
    (root / "sub").mkdir(parents=True)
    (far / "deep").mkdir(parents=True)
    (root / "sub/far").symlink_to(far)
    (root / "up").symlink_to(tmp_path)
    (far / "back").symlink_to(root)
    before = digests(root)
    assert set(before) == {"sub/far", "up"}
    assert digests(root) == before
    (far / "deep/x").write_text("1")
    after = digests(root)
    assert after["sub/far"] != before["sub/far"]
    # as many bytes, another time
    os.utime(far / "deep/x", ns=(0, 1))
    assert digests(root)["sub/far"] != after["sub/far"]


def test_the_stage_takes_no_arguments(here: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.links", "more"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: a stage takes no arguments (more): ")
    assert done.stderr.count("\n") == 1
