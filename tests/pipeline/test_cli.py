"""The command ``pipeline``: quick, careful, and one line for what a person has typed wrongly."""

import argparse
import getpass
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import yaml

from pipeline import cli
from pipeline.cli import COMMANDS, build_parser
from tests.pipeline import tiny

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "mlflow", "pandas", "dvc", "prefect", "numpy", "optuna", "great_expectations")
NAMES = [command.__name__.rpartition(".")[2] for command in COMMANDS]
BELOW = [
    *(["data", what] for what in ("add", "list", "status", "demo")),
    *(["params", what] for what in ("use", "check", "upgrade")),
    *(["track", what] for what in ("import", "send", "reap")),
]


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with nothing in it."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def program(*arguments: str, code: str = "") -> "subprocess.CompletedProcess[str]":
    """``python -m pipeline ARGUMENTS``, or some code, in the current folder."""
    start = ["-c", code] if code else ["-m", "pipeline"]
    return subprocess.run(
        [sys.executable, *start, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_help_answers_and_loads_nothing_heavy(empty: Path) -> None:
    code = f"""
import sys
from pipeline.cli import run
try:
    run(["--help"])
except SystemExit as ended:
    status = ended.code
loaded = {{name.partition(".")[0] for name in sys.modules}}
print(status, sorted(loaded & set({HEAVY})), file=sys.stderr)
"""
    done = program(code=code)
    assert done.stderr == "0 []\n"
    assert all(f"    {name} " in done.stdout or f"    {name}\n" in done.stdout for name in NAMES)
    assert list(empty.iterdir()) == []


def test_the_program_answers_in_half_a_second(empty: Path) -> None:
    before = os.times()
    done = program("--help")
    after = os.times()
    assert done.returncode == 0
    assert done.stdout.startswith("usage: pipeline [-h] COMMAND ...\n")
    # of the processor: others may use this machine, too
    spent = after.children_user + after.children_system
    assert spent - before.children_user - before.children_system < 0.5


@pytest.mark.parametrize("name", NAMES)
def test_help_of_a_command_has_an_example_and_changes_nothing(
    name: str, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.run([name, "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: pipeline {name} [-h]")
    assert f"\nexample:\n  pipeline {name}" in out or f"&& pipeline {name}" in out
    assert max(map(len, out.splitlines())) <= 100
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize("words", BELOW, ids=" ".join)
def test_help_of_what_a_command_can_do(
    words: list[str], empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.run([*words, "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: pipeline {' '.join(words)} [-h]")
    page = " ".join(out.split())
    example = page[page.index("example: pipeline") :].removeprefix("example: ")
    assert example.startswith(f"pipeline {' '.join(words)}")
    build_parser().parse_args(shlex.split(example)[1:])
    assert list(empty.iterdir()) == []


def test_examples_are_command_lines_that_make_sense() -> None:
    """Each line of an example that starts with the command is one that the parser takes."""
    parser = build_parser()
    for command in COMMANDS:
        lines = [line.split("    ")[0] for line in command.EXAMPLE.splitlines()]
        calls = [part.strip() for line in lines for part in line.split("&&")]
        calls = [call for call in calls if call.startswith("pipeline ")]
        assert calls, command
        for call in calls:
            parser.parse_args(shlex.split(call)[1:])


def test_exit_statuses_that_are_no_error_are_said() -> None:
    """Who returns 3 says so in its help."""
    for name in ("promote", "reproduce", "status", "doctor", "data"):
        (command,) = [one for one in COMMANDS if one.__name__.endswith(f".{name}")]
        assert "3: " in command.DESCRIPTION or " 3:" in command.DESCRIPTION


def test_no_command_and_an_unknown_one_are_2(empty: Path) -> None:
    done = program()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: pipeline")
    done = program("nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert "invalid choice: 'nonsense'" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["compare", "@champion"],
        ["compare", "a", "b", "--resamples", "0"],
        ["compare", "a", "b", "--split", "tset"],
        ["data"],
        ["data", "add"],
        ["data", "add", "x", "--split", "all"],
        ["drift", "--split", "all"],
        ["params", "use", "tiny"],
        ["params", "use", "own", "--hours", "many"],
        ["promote", "--version", "three"],
        ["register", "3"],
        ["reproduce"],
        ["reproduce", "3", "--tolerance", "x"],
        ["rollback", "--to", "@previous"],
        ["serve", "--port", "http"],
        ["status", "--yaml"],
        ["sweep"],
        ["track"],
        ["track", "import"],
        ["trace", "--rev"],
    ],
    ids=" ".join,
)
def test_a_command_line_that_makes_no_sense_is_2(
    words: list[str], empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.run(words)
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert re.fullmatch(rf"error: .+; `pipeline( {words[0]}.*)? --help` shows how\n", err)
    assert list(empty.iterdir()) == []


ELSEWHERE = {
    "status": "params.yaml not found: run from the repository's root",
    "params check": "params.yaml not found: run from the repository's root",
    "params upgrade": "params.yaml not found: run from the repository's root",
    "params use own": "preset own is for an own data set: name it with --data PATH.yaml",
    "params use own --data no.yaml": "no.yaml",
    "data list": "params.yaml not found",
    "data status": "params.yaml not found",
    "data add x": "params.yaml not found",
    "data demo x": "params.yaml not found",
    "drift": "artifacts/dataset.json not found: run the stage validate",
    "compare a b": "params.yaml not found",
    "register": "params.yaml not found",
    "promote": "params.yaml not found",
    "promote --force": "--force and --reason TEXT go together: who forces says why",
    "rollback": "params.yaml not found",
    "standing": "params.yaml not found",
    "serve": "params.yaml not found",
    "reproduce 3": "params.yaml not found",
    "trace": "params.yaml not found",
    "track send": "params.yaml not found",
    "track reap": "params.yaml not found",
    "track import x": "params.yaml not found",
    "views": "params.yaml not found",
    "sweep x": "no sweep x; there are: none yet",
    "plots": "no .dvc here: run from the repository's root",
}


@pytest.mark.parametrize("line", ELSEWHERE)
def test_in_a_folder_without_a_project_a_command_says_so_in_one_line_and_leaves_nothing(
    line: str, empty: Path
) -> None:
    with pytest.raises(ValueError, match=re.escape(ELSEWHERE[line])) as caught:
        cli.run(line.split())
    assert "\n" not in str(caught.value)
    assert list(empty.iterdir()) == []


def test_what_cannot_be_done_is_one_line_and_1(empty: Path) -> None:
    done = program("standing")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: params.yaml not found: run from the repository's root, or write one with `pipeline"
        " params use demo`\n"
    )


def test_a_user_without_a_name_gets_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs as a number: nothing is asked before a command runs."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert isinstance(build_parser(), argparse.ArgumentParser)


def test_who_reads_no_further_is_no_error(empty: Path) -> None:
    command = f"{sys.executable} -m pipeline params use demo | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_stages_refuse_arguments(
    empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``python -m pipeline.train --help`` must not train."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for name, stage in stages.items():
        python, option, module = stage["cmd"].split()
        assert (python, option) == ("python", "-m")
        monkeypatch.setattr(sys, "argv", [module, "--help"])
        with pytest.raises(SystemExit) as ended:
            _start(module)
        told = capsys.readouterr()
        assert (name, ended.value.code, told.out) == (name, 1, "")
        assert told.err == (
            "error: a stage takes no arguments (--help): what it does is said in params.yaml,"
            " and `pipeline --help` lists the commands for people\n"
        )
    assert list(empty.iterdir()) == []


def _start(module: str) -> None:
    """``python -m MODULE`` in this process, which has loaded most of it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* found in sys.modules")
        runpy.run_module(module, run_name="__main__")


def test_answers_for_programs_are_json(
    empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``compare`` and ``drift`` have their own tests, as they need models and data."""
    tiny.make_tiny(empty)
    assert cli.run(["trace", "--json"]) == 0
    traced = json.loads(capsys.readouterr().out)
    assert [stage["name"] for stage in traced["stages"]] == ["validate", "evaluate"]
    assert cli.run(["status", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["to_do"] == ["dvc repro (nothing ran yet)"]
    assert cli.run(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"git", "DVC", "MLflow", "disk", "threads"} <= {each["subject"] for each in found}
    assert all(set(each) == {"subject", "state", "text", "remedy"} for each in found)
