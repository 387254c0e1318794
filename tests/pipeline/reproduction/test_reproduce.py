import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.params.tracking import TrackingConfig
from pipeline.reproduction import reproduce
from pipeline.reproduction.page import lines, write_reproduction
from pipeline.reproduction.passes import Pass, Source, find_source
from pipeline.reproduction.verdict import Outputs, judge
from pipeline.tracking.connection import connect
from pipeline.tracking.runs import open_training_run
from pipeline.workspace.copies import COPIES, link_plain_data, override, past_tree, share_dvc
from pipeline.workspace.tracked import missing_of
from tests.pipeline import tracked
from tests.pipeline.project import copy_project, run, write_params
from tests.pipeline.recorders import leave_evaluation_unrecorded
from tests.pipeline.tracked import CONFIG, KEY, PARAMETERS, identity, open_store

ORIGINAL = Pass(
    training="a1",
    evaluation="a2",
    split="test",
    weights="1" * 64,
    metrics={"test/AP": 0.5, "test/AP50": 0.75},
    exported={"onnx": "2" * 64, "pt2": "3" * 64},
    parameters={"train.lr": "0.1"},
    data={"test": "4" * 64},
    versions={"torch": "2.14.1"},
    hardware={"threads": "2"},
)
AGAIN = replace(ORIGINAL, training="b1", evaluation="b2")


def test_the_same_is_identical() -> None:
    found = judge(ORIGINAL, AGAIN)
    assert (found.verdict, found.largest, found.changes) == ("identical", 0.0, [])
    assert found.files == {"onnx": "same bytes", "pt2": "same bytes"}


@pytest.mark.parametrize(
    ("change", "verdict", "reason"),
    [
        ({"weights": "5" * 64}, "within tolerance", "the weights differ"),
        ({"weights": None}, "within tolerance", "the hash of the weights is not known"),
        ({"exported": {"onnx": "2" * 64, "pt2": "6" * 64}}, "within tolerance",
         "exported files differ: pt2 (other bytes)"),
        ({"exported": {"onnx": "2" * 64}}, "within tolerance",
         "exported files differ: pt2 (missing)"),
        ({"metrics": {"test/AP": 0.504, "test/AP50": 0.75}}, "within tolerance",
         "test AP 0.5000 and 0.5040: 0.0040 apart, within 0.005"),
        ({"metrics": {"test/AP": 0.49, "test/AP50": 0.8}}, "different",
         "2 metrics differ, by 0.05 at most"),
        ({"metrics": {}}, "different", "one of the two has no test AP"),
        ({"data": {"test": "7" * 64}}, "different", "the test data are others"),
    ],
)  # fmt: skip
def test_verdict_and_reason(change: dict[str, object], verdict: str, reason: str) -> None:
    found = judge(ORIGINAL, replace(AGAIN, **change))
    assert found.verdict == verdict
    assert any(reason in said for said in found.reasons), found.reasons


def test_other_bytes_that_compute_the_same_are_identical() -> None:
    other = replace(AGAIN, exported={"onnx": "2" * 64, "pt2": "6" * 64})
    for equal, verdict in ((True, "identical"), (False, "within tolerance")):
        found = judge(ORIGINAL, other, outputs={"pt2": Outputs(equal=equal, text="pt2: so")})
        assert (found.verdict, found.outputs) == (verdict, ["pt2: so"])


def test_tolerance_is_the_callers() -> None:
    worse = replace(AGAIN, metrics={"test/AP": 0.48, "test/AP50": 0.75})
    assert judge(ORIGINAL, worse, tolerance=0.03).verdict == "within tolerance"
    assert judge(ORIGINAL, worse, tolerance=0.01).verdict == "different"


def test_without_an_evaluation_only_equal_weights_are_enough() -> None:
    bare = replace(ORIGINAL, evaluation=None, split=None, metrics={}, exported={})
    found = judge(bare, AGAIN)
    assert found.verdict == "identical"
    assert found.reasons[1:] == [
        "the original has no evaluation to compare with",
        "the original's exported files are not known: its export was not tracked",
    ]
    assert judge(bare, replace(AGAIN, weights="5" * 64)).verdict == "different"


def test_page_names_all_that_differs(tmp_path: Path) -> None:
    other = replace(
        AGAIN,
        weights="5" * 64,
        versions={"torch": "2.15.0"},
        hardware={"threads": "8"},
        parameters={"train.lr": "0.2"},
        data={"test": "4" * 64, "train": "8" * 64},
    )
    found = judge(ORIGINAL, other)
    source = Source(run_id="a2", name="evaluate-x", commit="9" * 40, patch=b"diff")
    page, data = write_reproduction(found, source, ["train.lr=0.2"], tmp_path)
    text = page.read_text()
    for row in (
        "| parameter train.lr | 0.1 | 0.2 |",
        f"| data train | - | {'8' * 64} |",
        "| version torch | 2.14.1 | 2.15.0 |",
        "| hardware threads | 2 | 8 |",
    ):
        assert row in text
    assert "with uncommitted changes, applied from its patch; changed by -S: `train.lr=0.2`" in text
    assert json.loads(data.read_text())["verdict"] == "within tolerance"
    assert lines(found)[0] == "within tolerance (tolerance of AP 0.005)"


def test_runs_that_cannot_be_repeated(repository: Path) -> None:
    def train(patch: str = "", **about: str | None) -> str:
        who = identity(patch=patch, **about)
        with open_training_run(CONFIG, parameters=PARAMETERS, key=KEY, identity=who) as opened:
            return opened.run_id

    whole, bare = train(patch="diff --git a/x b/x\n"), train(git_commit=None)
    source, found = find_source(CONFIG, whole)
    assert (source.commit, source.patch) == ("1" * 40, b"diff --git a/x b/x\n")
    assert (found.training, found.evaluation, found.data["test"]) == (whole, None, "c" * 64)
    with pytest.raises(ValueError, match=f"run {bare} .* has no git commit, so its code is not"):
        find_source(CONFIG, bare)
    lost = train(patch="# new file not in this patch: big.bin\n")
    with pytest.raises(ValueError, match=r"its patch does not carry \(big.bin\)"):
        find_source(CONFIG, lost)
    open_store().client.set_terminated(whole, "KILLED")
    with pytest.raises(ValueError, match="is KILLED: only a FINISHED run has a result"):
        find_source(CONFIG, whole)
    with pytest.raises(ValueError, match="nosuchrun: neither a file"):
        find_source(CONFIG, "nosuchrun")


def test_an_evaluation_that_waits_to_be_recorded_is_part_of_the_original(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "params.yaml").write_text(json.dumps({"tracking": asdict(CONFIG)}))
    who = identity()
    with open_training_run(CONFIG, parameters=PARAMETERS, key=KEY, identity=who) as training:
        pass
    own = {"evaluate": PARAMETERS["evaluate"], "tracking": asdict(CONFIG)}
    leave_evaluation_unrecorded({"key": KEY, "parameters": PARAMETERS}, own)
    originals = []

    def keep(config: TrackingConfig, source: Source, original: Pass, *_: Any, **more: Any) -> None:
        originals.append(original)
        raise ValueError("found")

    monkeypatch.setattr(reproduce, "_repeat", keep)
    with pytest.raises(ValueError, match="^found$"):
        reproduce.reproduce(training.run_id, [])
    (evaluation,) = tracked.runs(open_store(), "evaluate")
    assert originals[0].evaluation == evaluation.info.run_id


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)
    return done.stdout.decode().strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "a" / "clone"
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    (folder / "params.yaml").write_text("data: {config: ../mine/data.yaml, root: .} # here\n")
    (folder / "dvc.yaml").write_text("stages: {}\n")
    (folder / ".gitignore").write_text("/.dvc/tmp\n/.dvc/config.local\n")
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text("['remote \"near\"']\n    url = ../../store\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def test_past_tree_is_the_commit_with_the_patch_and_goes_away(clone: Path) -> None:
    commit = git(clone, "rev-parse", "HEAD")
    (clone / "params.yaml").write_text("data: {config: other.yaml}\n")
    patch = git(clone, "diff").encode() + b"\n"
    git(clone, "checkout", "--quiet", "params.yaml")
    seen: list[Path] = []

    def look() -> None:
        with past_tree(clone, commit, patch) as tree:
            seen.append(tree.root)
            assert (tree.root / "params.yaml").read_text() == "data: {config: other.yaml}\n"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look()
    assert not seen[0].exists()
    assert len(git(clone, "worktree", "list").splitlines()) == 1
    assert git(clone, "status", "--porcelain") == ""
    with pytest.raises(ValueError, match="patch does not apply"):
        past_tree(clone, commit, patch.replace(b"/mine", b"/his")).__enter__()
    with pytest.raises(ValueError, match="commit 0+ is not in this clone: get it with `git fetch"):
        past_tree(clone, "0" * 40, b"").__enter__()
    assert list((clone / COPIES).iterdir()) == []


def test_copy_of_a_killed_process_is_removed_by_the_next_and_no_other(clone: Path) -> None:
    commit = git(clone, "rev-parse", "HEAD")
    killed = f"""
import os, signal
from pathlib import Path
from pipeline.workspace.copies import past_tree
copy = past_tree(Path(), "{commit}", b"")
copy.__enter__()
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", killed], cwd=clone, env=with_code())
    assert done.returncode == -signal.SIGKILL
    [left] = (clone / COPIES).iterdir()
    with past_tree(clone, commit, b"") as first, past_tree(clone, commit, b"") as second:
        assert not left.exists()
        assert first.root.is_dir()
        assert second.root.is_dir()
    assert list((clone / COPIES).iterdir()) == []


def with_code() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[3])}


def test_past_tree_links_what_the_commit_lacks_of_a_data_folder(clone: Path) -> None:
    (clone / "params.yaml").write_text("data: {config: mine/data.yaml, root: .}\n")
    (clone / "dvc.yaml").write_text("stages: {make: {cmd: x, outs: [mine/made]}}\n")
    (clone / ".gitignore").write_text("/.dvc/tmp\n*.jpg\n")
    for name in ("data.yaml", "labels/1.txt", "labels/1.jpg", "images/1.jpg", "made/1.jpg"):
        file = clone / "mine" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "--message", "data without their images")
    with past_tree(clone, git(clone, "rev-parse", "HEAD"), b"") as tree:
        link_plain_data(tree)
        mine = tree.root / "mine"
        assert (mine / "images" / "1.jpg").read_text() == "images/1.jpg"
        assert (mine / "labels" / "1.jpg").read_text() == "labels/1.jpg"
        assert not (mine / "labels" / "1.txt").is_symlink()
        assert not (mine / "made").exists()
    assert (clone / "mine" / "images" / "1.jpg").is_file()


def test_past_tree_finds_plain_data_cache_and_remotes(clone: Path) -> None:
    mine = clone.parent / "mine"
    mine.mkdir()
    (mine / "data.yaml").write_text("names: [x]\n")
    with past_tree(clone, git(clone, "rev-parse", "HEAD"), b"") as tree:
        link_plain_data(tree)
        share_dvc(tree, clone / "cache")
        override(tree.root / "params.yaml", ["data.root=[1, 2]"])
        assert (tree.root / "../mine/data.yaml").read_text() == "names: [x]\n"
        assert yaml.safe_load((tree.root / "params.yaml").read_text())["data"]["root"] == [1, 2]
        local = (tree.root / ".dvc" / "config.local").read_text()
        assert f"dir = {clone}/cache" in local
        assert f"url = {clone.parent}/store" in local
    assert (mine / "data.yaml").exists()


@pytest.mark.parametrize("change", ["data.none=1", "data", "none.x=1"])
def test_override_of_an_unknown_key(tmp_path: Path, change: str) -> None:
    params = tmp_path / "params.yaml"
    params.write_text("data: {config: x}\n")
    with pytest.raises(ValueError, match=f"-S {change}: write section.key=value"):
        override(params, [change])


def test_missing_objects_are_named(tmp_path: Path) -> None:
    entries = [{"md5": "aa11", "relpath": "images/a.jpg"}, {"md5": "bb22", "relpath": "b.jpg"}]
    objects = tmp_path / "cache" / "files" / "md5"
    for name in ("dd00.dir", "aa11"):
        (objects / name[:2]).mkdir(parents=True)
        (objects / name[:2] / name[2:]).write_text(json.dumps(entries))
    file = tmp_path / "root" / "data" / "set.dvc"
    file.parent.mkdir(parents=True)
    file.write_text("outs: [{md5: dd00.dir, path: set}, {md5: ee99, path: one.txt}]\n")
    found = missing_of(tmp_path / "root", file, tmp_path / "cache")
    assert found == ["data/set/b.jpg", "data/one.txt"]


TINY = {
    "digits.train_scenes": 24,
    "digits.val_scenes": 6,
    "digits.test_scenes": 8,
    "digits.min_size": 24,
    "digits.max_size": 40,
    "digits.image_size": 64,
    "model.image_size": 64,
    "model.width": 0.05,
    "train.epochs": 1,
    "train.validate_every": 1,
    "train.amp": "off",
    "evaluate.resamples": 10,
    "evaluate.pictures": 0,
    "export.formats": ("onnx", "torchscript"),
    "export.max_ap_loss": 1.0,
}


@pytest.mark.slow
def test_pipeline_is_reproduced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = copy_project(tmp_path / "project", TINY)
    own = project / "own"
    own.mkdir()
    for name in ("a", "b"):
        (own / f"{name}.png").write_bytes(tracked.png(ord(name)))
    run(project, "dvc", "add", "own")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message", "own data")
    write_params(project, TINY | {"train.seed": 5})  # not committed: the patch has it
    with monkeypatch.context() as other:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            other.setenv(name, "2")
        run(project, "dvc", "repro", "--quiet")
    with contextlib.chdir(project):
        (evaluated,) = tracked.runs(connect("yolov2"), "evaluate")
    run_id, training = evaluated.info.run_id, evaluated.data.tags["mlflow.parentRunId"]
    git(project, "checkout", "--quiet", "params.yaml")
    before = git(project, "status", "--porcelain")

    said = run(project, "pipeline", "reproduce", run_id)
    assert f"code: {project}/{COPIES}/" in said
    assert "\nthreads: 2, as the original had (here it would be 1)\n" in said
    assert "\nidentical (tolerance of AP 0.005)\n" in said
    found = json.loads((project / "reports" / "reproduce" / f"{run_id}.json").read_text())
    assert (found["dirty"], found["metrics"], found["changes"]) == (True, [], [])
    assert found["files"]["onnx"] == "same bytes"
    assert found["files"]["torchscript"] in ("same bytes", "same outputs")

    change = ("-S", "digits.seed=1")
    told = run(project, "pipeline", "reproduce", training, *change, "--json", status=3)
    other = json.loads(told)  # nothing else, whatever the stages print
    assert other["verdict"] == "different"
    assert any("the test data are others" in reason for reason in other["reasons"])
    assert ("digits.seed", "0", "1") in [
        (one["name"], one["original"], one["repetition"]) for one in other["changes"]
    ]
    page = (project / other["page"]).read_text()
    assert "different" in page.splitlines()[0]

    monkeypatch.chdir(project)
    store = connect("yolov2")
    tags = store.client.get_run(run_id).data.tags
    assert tags["reproduced"] == "identical"
    assert "reproduce/" + run_id + ".md" in tracked.files(store, run_id)
    for again in (found["repetition"]["training"], found["repetition"]["evaluation"]):
        assert store.client.get_run(again).data.tags["reproduces"] == run_id
    again = store.client.get_run(found["repetition"]["evaluation"]).data.tags
    assert again["repeat_of"] == run_id

    content = tracked.png(ord("b"))
    (project / "own" / "b.png").write_bytes(tracked.png(7))
    run(project, "dvc", "add", "own")
    lose(project, content)
    git(project, "checkout", "--quiet", "HEAD", "own.dvc")
    assert "cannot be restored: 1 file in neither" in failure(project, run_id)
    assert "own/b.png" in failure(project, run_id)
    assert git(project, "status", "--porcelain") == before
    assert list((project / COPIES).iterdir()) == []


def lose(project: Path, content: bytes) -> None:
    """Delete what DVC's cache has of a file with this content."""
    digest = hashlib.md5(content).hexdigest()
    file = project / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
    file.chmod(0o644)
    file.unlink()


def failure(project: Path, run_id: str) -> str:
    """The error of a reproduction that cannot be done."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "reproduce", run_id],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr
