"""Drift: the index by hand, what chance gives by simulation, and the command in a repository."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline import cli, paths
from pipeline.drift.drift import JSON, MARKDOWN, measure
from pipeline.drift.measures import bin_counts, judge, shift
from tests.tables import Box, make_tables
from yolov2.data.table import LabelTables

NAMES = ("cat", "dog", "owl")


def scenes(classes: str, *, size: int = 100, side: int = 20, split: str = "train") -> LabelTables:
    """An image with one square box for each digit of ``classes``."""
    boxes: list[list[Box]] = [[(int(c), 0, 0, side, side)] for c in classes]
    return make_tables([(split, size, size, one) for one in boxes], NAMES)


def test_index_and_distance_worked_by_hand() -> None:
    # shares 0.5, 0.5 and (99.5, 299.5) / 399: 100/399 * ln(299.5/99.5)
    found = shift(np.array([199, 199]), np.array([99, 299]))
    assert found.psi == pytest.approx(0.27618, abs=1e-5)
    # 2/398 * the 99 % quantile of chi-square with one degree of freedom, 6.634897
    assert found.chance == pytest.approx(0.0333412, abs=1e-7)
    assert found.verdict == "strong"
    # H(3/8, 5/8) - (H(1/2) + H(1/4)) / 2 = 0.048795 bits, and its root
    assert shift(np.array([50000, 50000]), np.array([25000, 75000])).js == pytest.approx(
        0.22090, abs=2e-5
    )


def test_the_same_shift_in_few_samples_is_not_drift() -> None:
    # 20/39 / 2 * ln(29.5/9.5) = 0.29054, but chance reaches 2/38 * 6.634897 = 0.34920
    found = shift(np.array([19, 19]), np.array([9, 29]))
    assert (found.psi, found.chance) == pytest.approx((0.29054, 0.34920), abs=1e-5)
    assert found.verdict == "none"


@pytest.mark.parametrize(
    ("psi", "chance", "verdict"),
    [(0.0999, 0, "none"), (0.1, 0, "some"), (0.2499, 0, "some"), (0.25, 0, "strong"),
     (0.5, 0.5, "none"), (0.5, 0.4, "strong")],
)  # fmt: skip
def test_thresholds(psi: float, chance: float, verdict: str) -> None:
    assert judge(psi, chance) == verdict


def test_chance_exceeds_its_limit_once_in_a_hundred_times() -> None:
    rng = np.random.default_rng(0)
    shares = np.array([0.3, 0.2, 0.2, 0.15, 0.15])
    pairs = zip(rng.multinomial(300, shares, 4000), rng.multinomial(500, shares, 4000), strict=True)
    found = [shift(before, after) for before, after in pairs]
    assert 0.005 < np.mean([one.psi > one.chance for one in found]) < 0.015


def test_few_values_are_bins_of_their_own() -> None:
    before, after = bin_counts(np.array([128.0, 256, 128]), np.array([64.0, 128, 200, 256, 300]))
    # below, 128, between, 256, above
    assert before.tolist() == [0, 2, 0, 1, 0]
    assert after.tolist() == [1, 1, 1, 1, 1]


def test_many_values_are_divided_by_the_quantiles_of_the_reference() -> None:
    before, after = bin_counts(np.arange(100.0), np.array([-5.0, 12, 95, 1000]))
    assert before[:10].tolist() == [10] * 10
    assert after[:10].tolist() == [1, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert before[10:].sum() == after[10:].sum() == 0


def test_each_property_is_measured_alone() -> None:
    reference = scenes("01" * 300)
    same = measure(reference, scenes("10" * 300), "train")
    assert same.verdict == "none"
    assert [one.shift.psi for one in same.measures] == pytest.approx([0] * 6)
    states = {
        "class shares": scenes("0111" * 150),
        "box area, share of the image": scenes("01" * 300, side=30),
        "image size, megapixels": scenes("01" * 300, size=200, side=40),
    }
    for name, current in states.items():
        found = measure(reference, current, "train")
        moved = [one.name for one in found.measures if one.shift.verdict != "none"]
        assert moved == [name]
    (classes, *_) = measure(reference, states["class shares"], "train").measures
    assert classes.change == "'cat' 50.0 % → 25.0 % of the boxes"


def test_a_class_that_is_new_counts() -> None:
    old = make_tables([("train", 9, 9, [(0, 0, 0, 3, 3)])] * 400, ("cat",))
    found = measure(old, scenes("02" * 200, size=9, side=3), "train")
    assert found.measures[0].shift.verdict == "strong"


def test_a_split_without_boxes_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="^the reference data have no image in val: measure"):
        measure(scenes("0"), scenes("0", split="val"), "val")
    bare = make_tables([("train", 9, 9, [])], NAMES)
    with pytest.raises(ValueError, match="^the current data have no box in train"):
        measure(scenes("0"), bare, "train")


TRAIN = """\
  train:
    cmd: echo trained
    deps: [artifacts/images.parquet, artifacts/labels.parquet, artifacts/dataset.json]
"""


@pytest.fixture
def past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a repository whose HEAD has one table; another lies in ``artifacts``."""
    monkeypatch.chdir(tmp_path)
    scenes("01" * 300).write(tmp_path / "before")
    scenes("0111" * 150).write(tmp_path / "after")
    files = ["images.parquet", "labels.parquet", "dataset.json"]
    outs = "".join(f"    - artifacts/{name}\n" for name in files)
    copy = "mkdir -p artifacts && cp ${from}/* artifacts"
    Path("params.yaml").write_text("from: before\n")
    Path("dvc.yaml").write_text(f"stages:\n  validate:\n    cmd: {copy}\n    outs:\n{outs}" + TRAIN)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    dvc = [sys.executable, "-m", "dvc"]
    own = os.environ | {"DVC_NO_ANALYTICS": "1"}
    for command in (
        ["git", "init", "-q"], [*dvc, "init", "-q"], [*dvc, "repro", "-q"],
        ["git", "add", "."], [*git, "commit", "-qm", "before"],
    ):  # fmt: skip
        subprocess.run(command, check=True, env=own)
    Path("params.yaml").write_text("from: after\n")
    subprocess.run([*dvc, "repro", "-q", "validate"], check=True, env=own)
    return tmp_path


def test_the_command_compares_with_what_git_has(
    past: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.run(["drift"])
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("class shares: PSI 0.27")
    assert out[-1] == "strong drift (class shares) in train: 600 images before, 600 now"
    by_revision = json.loads(JSON.read_text())
    assert by_revision["verdict"] == "strong"
    # 150/601 * ln(450.5/150.5)
    assert by_revision["measures"][0]["psi"] == pytest.approx(0.273643, abs=1e-6)
    assert "| class shares | 0.27" in MARKDOWN.read_text()
    assert cli.run(["drift", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.items() <= by_revision.items()
    assert set(by_revision) - set(told) == {"reference", "sentence"}
    cli.run(["drift", "--reference", "before"])
    assert json.loads(JSON.read_text()) == by_revision | {"reference": "before"}
    cli.run(["drift", "--reference", str(paths.ARTIFACTS)])
    assert capsys.readouterr().out.splitlines()[-1].startswith("no drift in train")
    with pytest.raises(
        ValueError, match=r"^--reference nonsense: neither a folder .* Git revision"
    ):
        cli.run(["drift", "--reference", "nonsense"])


def test_the_reference_may_be_what_the_last_training_read(past: Path) -> None:
    cli.run(["drift"])
    by_revision = json.loads(JSON.read_text())
    cli.run(["drift", "--reference", "trained"])
    assert json.loads(JSON.read_text()) == by_revision | {"reference": "trained"}
    shutil.rmtree(past / ".dvc" / "cache")
    with pytest.raises(ValueError, match="images.parquet|labels.parquet.* `dvc fetch`"):
        cli.run(["drift", "--reference", "trained"])
