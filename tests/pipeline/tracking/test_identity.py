import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline import paths
from pipeline.workspace.git import read_work_tree
from pipeline.workspace.identity import collect_identity


def git(*arguments: str, cwd: Path | None = None) -> str:
    done = subprocess.run(["git", *arguments], cwd=cwd, check=True, capture_output=True)
    return done.stdout.decode().strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, the current folder."""
    monkeypatch.chdir(tmp_path)
    git("init", "--initial-branch=main", "--quiet")
    (tmp_path / "sub").mkdir()
    (tmp_path / "code.py").write_text("one = 1\n")
    (tmp_path / "dvc.lock").write_text("stages: {}\n")
    (tmp_path / ".gitignore").write_text("ignored\n")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    return tmp_path


def test_clean_tree(checkout: Path) -> None:
    (checkout / "ignored").touch()
    (checkout / "dvc.lock").write_text("stages: {train: {}}\n")  # every run rewrites it
    tree = read_work_tree()
    assert (tree.commit, tree.branch, tree.patch) == (git("rev-parse", "HEAD"), "main", "")


@pytest.mark.parametrize("folder", [".", "sub"])
def test_patch_makes_the_work_tree_of_the_commit(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory,
    folder: str,
) -> None:  # fmt: skip
    (checkout / "code.py").write_text("one = 2\n")
    (checkout / "new.py").write_bytes(b"caf\xe9\n")  # not UTF-8
    (checkout / "image.bin").write_bytes(bytes(range(256)))
    (checkout / "staged.py").write_text("staged\n")
    git("add", "staged.py")
    before = git("status", "--porcelain")
    monkeypatch.chdir(checkout / folder)
    patch = read_work_tree().patch
    assert git("status", "--porcelain", cwd=checkout) == before  # the index is untouched
    if folder == ".":
        copy = tmp_path_factory.mktemp("copy") / "copy"
        git("clone", "--quiet", str(checkout), str(copy))
        file = copy.with_name("patch")
        file.write_text(patch, encoding="utf-8", errors="surrogateescape", newline="")
        git("apply", str(file), cwd=copy)
        for name in ("code.py", "new.py", "image.bin", "staged.py"):
            assert (copy / name).read_bytes() == (checkout / name).read_bytes()
    else:
        assert "one = 2" in patch


def test_large_new_file_is_named_but_not_copied(checkout: Path) -> None:
    (checkout / "weights.bin").write_bytes(b"\0" * 5_000_001)
    assert read_work_tree().patch == "# new file not in this patch: weights.bin\n"


def test_a_broken_index_is_not_a_clean_tree(checkout: Path) -> None:
    (checkout / "code.py").write_text("one = 2\n")
    (checkout / ".git/index").write_bytes(b"broken")
    assert git("rev-parse", "HEAD")
    with pytest.raises(ValueError, match=r"^`git ls-files .*` failed: .*index file[^\n]*$"):
        read_work_tree()


@pytest.mark.parametrize("command", ["add", "diff"])
def test_what_git_cannot_compare_is_said(
    checkout: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / "code.py").write_text("one = 2\n")
    (checkout / "new.py").touch()
    wrapper = checkout / ".git/bin/git"
    wrapper.parent.mkdir()
    real = shutil.which("git")
    said = f'if [ "$1" = {command} ]; then echo no room >&2; exit 1; fi'
    wrapper.write_text(f'#!/bin/sh\n{said}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(ValueError, match=f"^`git {command} .*` failed: no room$"):
        read_work_tree()


def test_identity_of_a_stage(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "dvc.yaml").write_text(
        "stages:\n  train:\n    cmd: x\n"
        "    deps: [code.py, '${data.config}', sub/../images, missing]\n"
    )
    (checkout / "params.yaml").write_text("data: {config: sub/data.yaml}\n")
    (checkout / "sub" / "data.yaml").write_text("")
    (checkout / "dvc.lock").write_text(
        "stages:\n  validate:\n    deps:\n    - {path: images, md5: 0a1b.dir, nfiles: 3}\n"
    )
    paths.ARTIFACTS.mkdir()
    content = {"digest": {"test": "c" * 64}, "class_names": ["cat"]}
    paths.DATASET.write_text(json.dumps(content))
    monkeypatch.setenv("DVC_STAGE", "train")
    monkeypatch.setenv("DVC_EXP_NAME", "demo")
    identity = collect_identity()
    assert identity.dependencies == {
        "code.py": "1259653954ed031bcb670e7b01273c51",  # md5sum of "one = 1\n"
        "sub/data.yaml": "d41d8cd98f00b204e9800998ecf8427e",  # of nothing
        "images": "0a1b.dir",
        "missing": "unknown",
    }
    assert identity.data_digest == {"test": "c" * 64}
    assert identity.data == {"class_names": ["cat"]}
    assert identity.dvc_experiment == "demo"
    assert identity.git_dirty
    assert identity.versions["mlflow"]
    assert json.loads(json.dumps(identity.as_dict()))["dirty"] is True


def test_without_git_and_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    identity = collect_identity("train")
    assert (identity.git_commit, identity.patch, identity.git_dirty) == (None, "", False)
    assert identity.data_digest == {}
    assert identity.dependencies == {}
    monkeypatch.setenv("PATH", "")
    assert collect_identity().git_commit is None
