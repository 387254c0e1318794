"""A stage is stale if and only if its result could change: file by file, key by key."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pipeline.test_staleness import dvc

ROOT = Path(__file__).resolve().parents[2]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
COMPUTING = ("train", "evaluate", "export")

NEVER = (
    "pipeline/tracking/*", "pipeline/registry/*", "pipeline/serving/*", "pipeline/comparison/*",
    "pipeline/promotion/*", "pipeline/reproduction/*", "pipeline/data/*", "pipeline/drift/*",
    "pipeline/sweep/*", "pipeline/overview/*", "pipeline/commands/*", "pipeline/cli.py",
    "pipeline/__main__.py", "pipeline/params/[!dr]*", "pipeline/workspace/identity.py",
    "pipeline/workspace/git.py", "pipeline/running/processes.py",
    "flows/*", "deploy/*", "docs/*", "tests/*", "benchmarks/*", "examples/*", "yolov2/commands/*",
    "yolov2/cli.py", "yolov2/detection/outputs/*", "*.md", "Makefile", "pyproject.toml",
    "requirements.lock",
)  # fmt: skip
"""What records, decides, tells or starts: no stage depends on it."""
DRAWING = (
    "pipeline/pictures.py", "pipeline/report.py", "yolov2/data/anchor_plot.py",
    "yolov2/detection/draw.py", "yolov2/detection/fonts.py", "yolov2/training/curves.py",
    "yolov2/evaluation/report/[clps]*.py",
)  # fmt: skip
"""What draws: the stage ``report`` alone."""
VALIDATES = ("pipeline/pages.py", "pipeline/validation/*")
"""What holds rules against the data, and shows it: one page that no other stage reads."""

OF_THE_STAGE: dict[str, set[str]] = {
    "train": {"pipeline/train.py", "pipeline/checkpoints.py"},
    "evaluate": {"pipeline/evaluate.py", "pipeline/running/files.py",
                 "pipeline/workspace/handover.py"},
    "export": {"pipeline/export.py", "pipeline/running/files.py", "pipeline/workspace/handover.py"},
}  # fmt: skip
OF_ALL = {
    "pipeline/labels.py", "pipeline/paths.py", "pipeline/params/reading.py",
    "pipeline/running/entry.py", "pipeline/running/failure.py", "pipeline/running/recorder.py",
    "pipeline/workspace/dvc_files.py", "pipeline/workspace/inputs.py",
}  # fmt: skip
"""What reads their settings and inputs, and what starts the programs that record."""

PARAMETERS: dict[str, set[str]] = {
    "data": {"digits", "links", "validate"},
    "digits": {"digits"},
    "validate": {"validate"},
    "anchors": {"anchors", "report"},
    "model": {"train"},
    "model.image_size": {"anchors", "train", "report"},
    "train": {"train"},
    "machine": set(),
    "evaluate": {"evaluate", "export"},
    "evaluate.split": {"evaluate", "export", "report"},
    "evaluate.resamples": {"evaluate"},
    "evaluate.seed": {"evaluate"},
    "evaluate.pictures": {"report"},
    "export": {"export"},
    "tracking": set(),
    "promote": set(),
    "flows": set(),
    "schedule": set(),
}
"""The stages that a changed value makes stale by itself, by the longest name that holds."""


def reading(file: str) -> set[str]:
    """Stages that are stale when ``file`` changes."""
    return {name for name, stage in STAGES.items() if file in stage.get("deps", ())}


def after(stages: set[str]) -> set[str]:
    """``stages``, and those that read what they make."""
    found = set(stages)
    for _ in STAGES:
        made = {out for name in found for out in outs(name)}
        found |= {name for name, stage in STAGES.items() if made & set(stage.get("deps", ()))}
    return found


def outs(name: str) -> list[str]:
    stage = STAGES[name]
    return [str(out) for kind in ("outs", "metrics", "plots") for out in stage.get(kind, ())]


def matches(file: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(file, pattern) for pattern in patterns)


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_what_only_records_draws_or_tells_makes_no_result_stale() -> None:
    files = tracked()
    assert {name for name in files if matches(name, NEVER) and reading(name)} == set()
    drawing = [name for name in files if matches(name, DRAWING) and "tables" not in name]
    assert {frozenset(after(reading(name))) for name in drawing if reading(name)} == {
        frozenset({"report"})
    }
    shown = [name for name in files if matches(name, VALIDATES) and not name.endswith("__.py")]
    assert {frozenset(reading(name)) for name in shown} == {frozenset({"validate"})}
    for pattern in (*NEVER, *DRAWING, *VALIDATES):
        assert pattern == "docs/*" or any(fnmatch(name, pattern) for name in files), pattern


@pytest.mark.parametrize("stage", COMPUTING)
def test_a_stage_depends_on_what_decides_its_result(stage: str) -> None:
    deps = [dep for dep in STAGES[stage]["deps"] if dep.startswith("pipeline/")]
    assert set(deps) == OF_ALL | OF_THE_STAGE[stage]
    assert "yolov2/network/yolov2.py" in STAGES[stage]["deps"]


def test_what_decides_does_make_stale() -> None:
    assert reading("yolov2/training/loss.py") == {"train"}
    assert after({"train"}) == {"train", "evaluate", "export", "report"}
    assert reading("yolov2/evaluation/bootstrap.py") >= {"evaluate"}
    assert "train" not in reading("yolov2/evaluation/bootstrap.py")
    assert reading("yolov2/export/onnx_graph.py") == {"export"}
    assert reading("yolov2/data/labels/checks.py") == {"validate"}
    assert reading("pipeline/scenes/scene.py") == {"digits"}


def leaves(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key, value in values.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping):
            yield from leaves(value, f"{name}.")
        else:
            yield name


def is_part(name: str, of: str) -> bool:
    return name == of or name.startswith(f"{of}.")


def test_each_parameter_makes_stale_what_it_decides() -> None:
    names = list(leaves(yaml.safe_load((ROOT / "params.yaml").read_text())))
    assert len(names) > 100
    for name in names:
        expected = PARAMETERS[max((p for p in PARAMETERS if is_part(name, p)), key=len)]
        found = {s for s, stage in STAGES.items()
                 if any(is_part(name, str(p)) for p in stage.get("params", ()))}  # fmt: skip
        assert found == expected, name


MAKE = """\
import sys
from pathlib import Path
for name in sys.argv[1:]:
    path = Path(name)
    if not path.suffix:
        path = path / "digits.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(name)
"""


def test_dvc_says_the_same(tmp_path: Path) -> None:
    """The real ``dvc.yaml`` and its real files, with commands that only write their outputs."""
    document = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    del document["plots"]
    for name, stage in document["stages"].items():
        stage["cmd"] = f"{sys.executable} make.py {' '.join(outs(name))}"
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    (tmp_path / "make.py").write_text(MAKE)
    for name in {dep for stage in STAGES.values() for dep in stage["deps"]}:
        if name.endswith(".py"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tmp_path / name)
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    dvc(tmp_path, "init", "--no-scm")
    dvc(tmp_path, "repro", "--quiet")
    assert stale(tmp_path) == set()

    params = tmp_path / "params.yaml"
    text = params.read_text()
    params.write_text(
        text.replace("device: auto", "device: cpu").replace("min_ap: 0.3", "min_ap: 1")
    )
    changed(tmp_path, "yolov2/evaluation/report/plots.py")
    assert stale(tmp_path) == {"report"}
    params.write_text(text.replace("pictures: 8", "pictures: 9"))
    assert stale(tmp_path) == {"report"}
    changed(tmp_path, "yolov2/training/loss.py")
    assert stale(tmp_path) == {"report", "train"}
    ran = [line for line in dvc(tmp_path, "repro").splitlines() if line.startswith("Running stage")]
    # the training makes the same bytes here, so what follows is up to date
    assert ran == [f"Running stage '{name}':" for name in ("links", "train", "report")]


def changed(folder: Path, name: str) -> None:
    with (folder / name).open("a") as file:
        file.write("# changed\n")


def stale(folder: Path) -> set[str]:
    told: dict[str, Any] = json.loads(dvc(folder, "status", "--json"))
    return {name for name, why in told.items() if why != ["always changed"]}
