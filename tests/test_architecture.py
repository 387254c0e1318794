"""The house stays as it was drawn; and the checks that say so do find what is wrong."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from tests.architecture import rules
from tests.architecture.imports import Tree, closure, read_tree
from tests.architecture.stages import Difference, differences, rewrite

ROOT = Path(__file__).resolve().parents[1]
CHECKS = [
    rules.wrong_directions,
    rules.wrong_products,
    rules.dangling_imports,
    rules.idle_programs,
    rules.import_cycles,
    rules.filled_packages,
    rules.long_code,
]


@pytest.fixture(scope="module")
def house() -> Tree:
    return read_tree(ROOT)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_rules(house: Tree, check: Callable[[Tree], list[str]]) -> None:
    found = check(house)
    assert not found, "\n" + "\n".join(found)


def test_dvc_deps_are_true(house: Tree) -> None:
    if not (ROOT / "dvc.yaml").exists():
        pytest.skip("no dvc.yaml")
    found = differences(house, ROOT / "dvc.yaml")
    advice = "run `python -m tests.architecture --write`"
    assert not found, "\n".join(["", *map(str, found), advice])


def test_library_loads_without_the_products(house: Tree) -> None:
    modules = [name for name in sorted(house.files) if name.split(".")[0] == "yolov2"]
    blocked = sorted({*rules.THIRD_PARTY, *rules.WHERE_USED})
    code = f"""
        import importlib, sys
        sys.modules.update(dict.fromkeys({blocked!r}))
        for name in {[name for name in modules if not name.endswith("__main__")]!r}:
            importlib.import_module(name)
    """
    assert _python(code) == ""


def test_help_answers_before_torch_is_loaded() -> None:
    code = """
        import sys
        from yolov2.cli import main
        sys.argv = ["yolov2", "--help"]
        try:
            main()
        except SystemExit as end:
            assert not end.code
        heavy = {"torch", "torchvision", "pandas", "pyarrow", "PIL", "mlflow", "dvc"}
        print("loaded:", *sorted(heavy & set(sys.modules)))
    """
    *usage, last = _python(code).splitlines()
    assert usage[0].startswith("usage: yolov2")
    assert last == "loaded:"


def _python(code: str) -> str:
    command = [sys.executable, "-c", dedent(code)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _tree(root: Path, files: Mapping[str, str]) -> Tree:
    """A miniature house: the given files, and an empty ``__init__.py`` in each folder."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        for folder in path.relative_to(root).parents[:-1]:
            (root / folder / "__init__.py").touch()
    return read_tree(root)


@pytest.mark.parametrize(
    ("files", "finding"),
    [
        (
            {"yolov2/config/model.py": "import yolov2.boxes", "yolov2/boxes.py": ""},
            "yolov2/config/model.py:1: yolov2.config must not import yolov2.boxes"
            " (imports yolov2.boxes)",
        ),
        (
            {
                "yolov2/data/table.py": "def f():\n    from yolov2.network import trunk\n",
                "yolov2/network/trunk.py": "",
            },
            "yolov2/data/table.py:2: yolov2.data must not import yolov2.network"
            " (imports yolov2.network.trunk)",
        ),
        (
            {
                "yolov2/training/loop.py": "from ..evaluation.metrics import ap",
                "yolov2/evaluation/metrics.py": "",
            },
            "yolov2/training/loop.py:1: yolov2.training must not import yolov2.evaluation"
            " (imports yolov2.evaluation.metrics)",
        ),
        (
            {
                "yolov2/runs/run.py": """
                    from typing import TYPE_CHECKING
                    if TYPE_CHECKING:
                        import pipeline.params
                """,
                "pipeline/params.py": "",
            },
            "yolov2/runs/run.py:4: yolov2.runs must not import pipeline.params"
            " (imports pipeline.params)",
        ),
        (
            {"pipeline/train.py": "from flows import training", "flows/training.py": ""},
            "pipeline/train.py:1: pipeline.train must not import flows (imports flows.training)",
        ),
        (
            {"pipeline/train.py": "import pipeline.tracking.runs", "pipeline/tracking/runs.py": ""},
            "pipeline/train.py:1: pipeline.train must not import pipeline.tracking"
            " (imports pipeline.tracking.runs)",
        ),
        (
            {
                "yolov2/runs/run.py": "import importlib\nimportlib.import_module('yolov2.cli')\n",
                "yolov2/cli.py": "",
            },
            "yolov2/runs/run.py:2: yolov2.runs must not import yolov2.cli (imports yolov2.cli)",
        ),
        (
            {"yolov2/helpers.py": ""},
            "yolov2/helpers.py: belongs to no room; add it to tests/architecture/rules.py",
        ),
    ],
)
def test_wrong_direction_is_found(tmp_path: Path, files: dict[str, str], finding: str) -> None:
    assert rules.wrong_directions(_tree(tmp_path, files)) == [finding]


@pytest.mark.parametrize(
    ("file", "text", "findings"),
    [
        ("pipeline/serving/model.py", "import mlflow.pyfunc", []),
        ("flows/training.py", "from prefect import flow", []),
        ("pipeline/workspace/dvc.py", "import dvc.api", []),
        ("yolov2/data/table.py", "def f():\n    import hotcoco\n", []),
        ("yolov2/runtime/session.py", "def f():\n    import onnxruntime\n", []),
        (
            "pipeline/export.py",
            "import onnxruntime",
            [
                f"pipeline/export.py:1: only {', '.join(rules.THIRD_PARTY['onnxruntime'])}"
                " may import onnxruntime"
            ],
        ),
        (
            "pipeline/train.py",
            "def main():\n    import mlflow\n",
            [
                f"pipeline/train.py:2: only {', '.join(rules.THIRD_PARTY['mlflow'])}"
                " may import mlflow"
            ],
        ),
        (
            "pipeline/running/entry.py",
            "from prefect import flow",
            ["pipeline/running/entry.py:1: only flows may import prefect"],
        ),
        (
            "pipeline/anchors.py",
            "import great_expectations as gx",
            ["pipeline/anchors.py:1: only pipeline.validation may import great_expectations"],
        ),
        (
            "pipeline/workspace/dvc.py",
            "from dvc.repo import Repo",
            ["pipeline/workspace/dvc.py:1: of dvc only dvc.api may be imported"],
        ),
        (
            "yolov2/config/model.py",
            "import sklearn.datasets",
            ["yolov2/config/model.py:1: only pipeline may import sklearn"],
        ),
        (
            "yolov2/detection/export.py",
            "import hotcoco",
            [
                "yolov2/detection/export.py:1: import hotcoco in the function that uses it",
            ],
        ),
    ],
)
def test_products_stay_in_their_files(
    tmp_path: Path, file: str, text: str, findings: list[str]
) -> None:
    assert rules.wrong_products(_tree(tmp_path, {file: text})) == findings


def test_cycle_through_a_function_is_found(tmp_path: Path) -> None:
    files = {
        "yolov2/data/a.py": "from yolov2.data.b import f",
        "yolov2/data/b.py": "from . import c",
        "yolov2/data/c.py": "def f():\n    import yolov2.data.a\n",
        "yolov2/data/d.py": "import yolov2.data.a",
    }
    finding = "import cycle: yolov2.data.a <-> yolov2.data.b <-> yolov2.data.c"
    assert rules.import_cycles(_tree(tmp_path, files)) == [finding]


def test_packages_are_empty_and_complete(tmp_path: Path) -> None:
    _tree(tmp_path, {"yolov2/data/table.py": "", "flows/training.py": ""})
    (tmp_path / "yolov2" / "__init__.py").write_text("VERSION = 1\n")
    (tmp_path / "flows" / "__init__.py").unlink()
    assert rules.filled_packages(read_tree(tmp_path)) == [
        "flows/training.py: its folder has no (empty) __init__.py",
        "yolov2/__init__.py: must be empty",
    ]


def test_import_of_a_module_that_is_gone_is_found(tmp_path: Path) -> None:
    tree = _tree(tmp_path, {"yolov2/data/table.py": "import json\nfrom yolov2.gone import f\n"})
    assert rules.dangling_imports(tree) == ["yolov2/data/table.py:2: yolov2.gone does not exist"]


def test_program_that_would_do_nothing_is_found(tmp_path: Path) -> None:
    files = {
        "pipeline/report.py": "def main(): pass\n",
        "pipeline/real.py": 'if __name__ == "__main__":\n    pass\n',
        "pipeline/__main__.py": 'if __name__ == "__main__":\n    pass\n',
        "flows/sweep.py": """
            a = ["python", "-m", "pipeline.report", "x"]
            b = ["-m", "pipeline.real"] + ["-m", "dvc"] + ["-m", "pipeline", "sweep"]
        """,
    }
    assert rules.idle_programs(_tree(tmp_path, files)) == [
        "flows/sweep.py:2: pipeline.report is no program"
    ]


def test_long_modules_and_functions_are_found(tmp_path: Path) -> None:
    docstring = '    """' + "\n    words" * 60 + '"""\n'
    fits = f"def fits():\n{docstring}" + "    x = 1\n" * 39
    long = "class Net:\n    async def long(self):\n" + "        x = 1\n" * 40
    files = {
        "yolov2/data/good.py": fits,
        "yolov2/data/bad.py": long,
        "pipeline/full.py": "\n" * 301,
        "pipeline/edge.py": "\n" * 300,
    }
    assert rules.long_code(_tree(tmp_path, files)) == [
        "pipeline/full.py: 301 lines, at most 300",
        "yolov2/data/bad.py:2: long has 41 lines without its docstring, at most 40",
    ]


PIPELINE = {
    "pipeline/train.py": """
        from typing import TYPE_CHECKING
        from pipeline.paths import BEST
        if TYPE_CHECKING:
            from yolov2.runs.run import Run
        def main():
            from yolov2.data import table
    """,
    "pipeline/paths.py": "",
    "pipeline/other.py": "",
    "yolov2/data/table.py": "import yolov2.boxes, numpy",
    "yolov2/boxes.py": "",
    "yolov2/runs/run.py": "",
}

DVC_YAML = """\
# The way of the data.
stages:
  copy:
    cmd: cp a b
    deps:
      - a
  train: # the long one
    cmd: python -m pipeline.train
    deps:
      # code
      - pipeline/other.py
      - pipeline/train.py # where it starts
      - yolov2/boxes.py
      # data
      - ${data.config}
      - 'artifacts/labels.parquet'
    params: [train, model]
  bare:
    cmd:
      - echo start
      - python -m pipeline.other
    outs:
      - x.txt
"""

TRUE_DVC_YAML = (
    DVC_YAML.replace("      - pipeline/other.py\n", "      - pipeline/paths.py\n")
    .replace("boxes.py\n", "boxes.py\n      - yolov2/data/table.py\n")
    .replace("  bare:\n", "  bare:\n    deps:\n      - pipeline/other.py\n")
)


def test_closure_follows_what_runs(tmp_path: Path) -> None:
    tree = _tree(tmp_path, PIPELINE)
    code = {"pipeline.train", "pipeline.paths", "yolov2.data.table", "yolov2.boxes"}
    assert closure(tree, "pipeline.train") == code
    (tmp_path / "yolov2" / "data" / "__init__.py").write_text(
        "from yolov2.runs.run import run as runs\n"
    )
    assert closure(read_tree(tmp_path), "pipeline.train") == {
        *code,
        "yolov2.data",
        "yolov2.runs.run",
    }


def test_untrue_deps_are_named_line_by_line(tmp_path: Path) -> None:
    tree = _tree(tmp_path, PIPELINE)
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    train, bare = differences(tree, tmp_path / "dvc.yaml")
    assert str(train) == dedent("""\
        stage train: its .py deps are not what its code imports
          add:
              - pipeline/paths.py
              - yolov2/data/table.py
          remove:
              - pipeline/other.py""")
    assert bare == Difference(stage="bare", missing=("pipeline/other.py",))


def test_rewriting_keeps_comments_and_other_deps(tmp_path: Path) -> None:
    tree = _tree(tmp_path, PIPELINE)
    dvc_yaml = tmp_path / "dvc.yaml"
    dvc_yaml.write_text(DVC_YAML)
    assert [change.stage for change in rewrite(tree, dvc_yaml)] == ["train", "bare"]
    assert dvc_yaml.read_text() == TRUE_DVC_YAML
    assert differences(tree, dvc_yaml) == []
    assert rewrite(tree, dvc_yaml) == []
    assert dvc_yaml.read_text() == TRUE_DVC_YAML


def test_deps_on_one_line_cannot_be_rewritten(tmp_path: Path) -> None:
    tree = _tree(tmp_path, {"pipeline/train.py": ""})
    text = "stages:\n  a:\n    cmd: python -m pipeline.train\n    deps: [b, c]\n"
    (tmp_path / "dvc.yaml").write_text(text)
    with pytest.raises(ValueError, match="^stage a: write its deps one a line$"):
        rewrite(tree, tmp_path / "dvc.yaml")


def test_stage_without_a_module_is_named(tmp_path: Path) -> None:
    tree = _tree(tmp_path, {"pipeline/train.py": ""})
    (tmp_path / "dvc.yaml").write_text("stages:\n  a:\n    cmd: python -m pipeline.gone --all\n")
    [found] = differences(tree, tmp_path / "dvc.yaml")
    assert str(found) == "stage a: runs pipeline.gone, which does not exist"


def test_stage_may_run_a_package(tmp_path: Path) -> None:
    files = {
        "pipeline/train/__main__.py": "from pipeline.train import loop",
        "pipeline/train/loop.py": "",
    }
    tree = _tree(tmp_path, files)
    (tmp_path / "dvc.yaml").write_text("stages:\n  a:\n    cmd: python -m pipeline.train\n")
    [found] = differences(tree, tmp_path / "dvc.yaml")
    assert found.missing == ("pipeline/train/__main__.py", "pipeline/train/loop.py")
