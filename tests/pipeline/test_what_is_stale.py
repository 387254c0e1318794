"""A stage is stale if and only if its result could change: file by file, key by key."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

from tests.pipeline.test_staleness import dvc

ROOT = Path(__file__).resolve().parents[2]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]

NOBODY: set[str] = set()
ALL = set(STAGES)
NETWORK = {"train", "evaluate", "export"}
TABLES = NETWORK | {"report"}
JUDGES = {"evaluate", "export"}

CLASSES: tuple[tuple[set[str], tuple[str, ...]], ...] = (
    (NOBODY, ("*/__init__.py", "*/py.typed")),
    # what begins and ends a stage, and reads its settings and inputs
    (ALL, ("pipeline/paths.py", "pipeline/params/reading.py", "pipeline/running/entry.py",
           "pipeline/running/failure.py", "pipeline/workspace/dvc_files.py",
           "yolov2/config/data.py", "yolov2/config/section.py", "yolov2/termination.py",
           "yolov2/yaml_aliases.py")),
    (ALL - {"links"}, ("pipeline/workspace/inputs.py",)),
    (ALL - {"digits"}, ("yolov2/files.py",)),
    (NETWORK, ("pipeline/running/recorder.py", "yolov2/config/machine.py")),
    (JUDGES, ("pipeline/workspace/handover.py",)),
    (JUDGES | {"report"}, ("pipeline/running/files.py",)),
    # the data: composed, looked behind, read and judged, as tables, as batches
    (NOBODY, ("pipeline/scenes/arrivals.py",)),
    ({"digits"}, ("pipeline/digits.py", "pipeline/params/digits.py", "pipeline/scenes/*")),
    ({"links"}, ("pipeline/links.py",)),
    ({"validate"}, ("pipeline/validate.py", "pipeline/validation/*", "pipeline/pages.py",
                    "yolov2/data/labels/*", "yolov2/data/images/probe.py")),
    (ALL - {"digits", "links"}, ("yolov2/boxes.py", "yolov2/data/table.py")),
    (TABLES | {"validate"}, ("pipeline/labels.py", "yolov2/data/class_names.py",
                             "yolov2/data/description*.py", "yolov2/data/images/files.py",
                             "yolov2/data/images/reading.py")),
    (NOBODY, ("yolov2/data/images/given.py",)),
    ({"train"}, ("yolov2/data/batches/plan.py",)),
    (NETWORK, ("yolov2/data/batches/*", "yolov2/data/images/*", "yolov2/config/augment.py")),
    # anchors
    ({"anchors"}, ("pipeline/anchors.py", "yolov2/data/anchors.py",
                   "yolov2/data/anchor_report.py")),
    ({"anchors", "report"}, ("yolov2/data/box_sizes.py",)),
    # what draws
    ({"report"}, ("pipeline/report.py", "pipeline/pictures.py", "yolov2/data/anchor_plot.py",
                  "yolov2/training/curves.py", "yolov2/detection/draw.py",
                  "yolov2/detection/fonts.py", "yolov2/evaluation/report/[!_ft]*.py")),
    # the network, its training, what it finds and how that is judged
    (TABLES | {"anchors"}, ("yolov2/config/model.py",)),
    (TABLES, ("yolov2/config/evaluate.py", "yolov2/detection/detections.py",
              "yolov2/evaluation/figures.py")),
    (NOBODY, ("yolov2/network/summary.py",)),
    (NETWORK, ("yolov2/network/*", "yolov2/detection/p*.py", "yolov2/evaluation/*_eval.py")),
    ({"train"}, ("pipeline/train.py", "pipeline/checkpoints.py", "yolov2/config/train.py",
                 "yolov2/training/*", "yolov2/runs/*")),
    ({"train", "export"}, ("yolov2/evaluation/score.py",)),
    ({"evaluate"}, ("pipeline/evaluate.py", "yolov2/evaluation/slices.py",
                    "yolov2/evaluation/thresholds.py", "yolov2/evaluation/report/tables.py")),
    ({"evaluate", "report"}, ("yolov2/evaluation/detections_file.py",)),
    (JUDGES | {"report"}, ("yolov2/evaluation/annotated.py", "yolov2/evaluation/rows.py")),
    (NOBODY, ("yolov2/evaluation/coco_json.py", "yolov2/evaluation/shares.py",
              "yolov2/evaluation/report/files.py")),
    (JUDGES, ("yolov2/evaluation/*", "yolov2/runtime/*")),
    ({"export"}, ("pipeline/export.py", "yolov2/config/export.py", "yolov2/export/*")),
    # what records, decides, tells or starts
    (NOBODY, ("pipeline/tracking/*", "pipeline/registry/*", "pipeline/serving/*",
              "pipeline/comparison/*", "pipeline/promotion/*", "pipeline/reproduction/*",
              "pipeline/data/*", "pipeline/drift/*", "pipeline/sweep/*", "pipeline/overview/*",
              "pipeline/commands/*", "pipeline/cli.py", "pipeline/__main__.py",
              "pipeline/params/*", "pipeline/running/*", "pipeline/workspace/*")),
    (NOBODY, ("yolov2/commands/*", "yolov2/cli.py", "yolov2/command_line.py",
              "yolov2/__main__.py", "yolov2/detection/*")),
    (NOBODY, ("flows/*", "deploy/*", "docs/*", "tests/*", "benchmarks/*", "examples/*", ".ci/*",
              ".dvc/*")),
    (NOBODY, ("*.md", "*.toml", "*.lock", "LICENSE", "Makefile", "mkdocs.yml", "prefect.yaml",
              ".gitignore", ".dvcignore")),
    # by key, by stage, and where `data.config` names it: see PARAMETERS
    (NOBODY, ("params.yaml", "dvc.yaml", "data/coco.yaml")),
)  # fmt: skip
"""The stages that read a file: those of the first patterns that hold."""

PARAMETERS: dict[str, set[str]] = {
    "data": {"digits", "links", "validate"},
    "digits": {"digits"},
    "validate": {"validate"},
    "anchors": {"anchors"},
    "model": {"train"},
    "model.image_size": {"anchors", "train"},
    "train": {"train"},
    "machine": set(),
    "evaluate": {"evaluate", "export"},
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


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_every_file_makes_stale_what_reads_it() -> None:
    held, unknown, wrong = set(), [], {}
    for name in tracked():
        found = [(stages, p) for stages, patterns in CLASSES for p in patterns if fnmatch(name, p)]
        if not found:
            unknown.append(name)
            continue
        expected, pattern = found[0]
        held.add(pattern)
        if reading(name) != expected:
            wrong[name] = f"read by {sorted(reading(name))}, not {sorted(expected)}"
    assert unknown == [], "say in CLASSES which stages they make stale"
    assert wrong == {}
    patterns = [pattern for _, patterns in CLASSES for pattern in patterns]
    assert [pattern for pattern in patterns if pattern not in held] == [], "they hold for no file"


def test_what_decides_does_make_stale() -> None:
    assert reading("yolov2/training/loss.py") == {"train"}
    assert after({"report"}) == {"report"}
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
