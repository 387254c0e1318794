"""What README and docs say is so: generated pages, links, commands, parameters, the site."""

import ast
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import pipeline.cli
import yolov2.cli
from docs import reference
from docs.mkdocs_hook import ELSEWHERE
from pipeline.params.presets import FULL
from pipeline.params.reading import MOVED

ROOT = Path(__file__).resolve().parents[1]
README_BYTES = 12 * 1024
PAGES = sorted(
    {*(ROOT / "docs").glob("*.md"), *(ROOT / name for name in ELSEWHERE)}
    | set((ROOT / "examples").rglob("*.md"))
)
HISTORY = ROOT / "CHANGELOG.md"
"""Names the commands and parameters of its day."""

FOREIGN = frozenset(
    {
        *("cd", "chmod", "cp", "curl", "docker", "dvc", "exec", "export", "git", "mkdir"),
        *("mlflow", "openssl", "pip", "prefect", "sh", "source", "touch"),
    }
)
"""Programs that are not ours."""
TAGS = frozenset({"train.origin", "section.key"})
"""What looks like a parameter: a tag in MLflow, a placeholder in a command's help."""
OLD = frozenset(f"train.{key}" for key in MOVED)
"""Parameters of 0.1, which the way to take over a project names."""
FILES = (
    *(".yaml", ".yml", ".json", ".csv", ".md", ".py", ".html", ".png", ".parquet"),
    *(".pt", ".pt2", ".onnx", ".torchscript"),
)

ids = {"ids": lambda page: page.relative_to(ROOT).as_posix()}
every_page = pytest.mark.parametrize("page", PAGES, **ids)  # type: ignore[arg-type]
present = pytest.mark.parametrize("page", [p for p in PAGES if p != HISTORY], **ids)  # type: ignore[arg-type]


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= README_BYTES


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="argparse lays help out otherwise")
@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_generated_pages_are_what_the_code_says(name: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", reference.COLUMNS)
    text = reference.PAGES[name]()
    advice = "python -m docs.reference --write"
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, advice


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
        if "://" in target:
            continue
        address, _, anchor = target.partition("#")
        file = (page.parent / address).resolve() if address else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in _anchors(file), f"{page.name}: {target}"


@every_page
def test_pictures_say_what_they_show(page: Path) -> None:
    assert not re.findall(r"!\[\]", _prose(page))


@present
def test_commands_can_be_typed(page: Path) -> None:
    wrong = []
    for line in _command_lines(page):
        for words in _commands(line):
            problem = _problem(words)
            if problem:
                wrong.append(f"{shlex.join(words)}: {problem}")
    assert not wrong, "\n".join(wrong)


@present
def test_commands_in_sentences_exist(page: Path) -> None:
    wrong = []
    for text in _spans(page):
        words = text.split()
        if len(words) < 2:
            continue
        if words[0] in ("pipeline", "yolov2") and words[1].islower():
            if words[1] not in reference.subcommands(_parsers()[words[0]]):
                wrong.append(text)
        elif (words[0] == "make" and not _target(words[1])) or (
            words[:2] == ["python", "-m"] and len(words) > 2 and not _module(words[2])
        ):
            wrong.append(text)
    assert wrong == []


@present
def test_parameters_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"-S '?\"?([a-z]\w*(?:\.\w+)+)=", text))
    for span in _spans(page):
        found = re.fullmatch(r"([a-z]\w*(?:\.[a-z]\w*)+)(?::? .*)?", span)
        if found and found[1].split(".")[0] in _sections() and not found[1].endswith(FILES):
            named.add(found[1])
    known = TAGS | OLD | _parameters()
    assert {name for name in named if name not in known and not _module(name)} == set()


@present
def test_python_and_yaml_in_blocks_are_such(page: Path) -> None:
    for language, text in _blocks(page):
        if language == "yaml":
            yaml.safe_load(text)
        elif language == "python":
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.ImportFrom) and node.module:
                    module = importlib.import_module(node.module)
                    for alias in node.names:
                        assert alias.name in vars(module)


def test_every_page_is_in_the_sites_menu() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    menu = {target for entry in settings["nav"] for target in entry.values()}
    assert menu == {*ELSEWHERE.values(), *(p.name for p in (ROOT / "docs").glob("*.md"))}


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="mkdocs is not installed")
def test_site_is_built_and_asks_no_other_server(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = [page for page in tmp_path.glob("*.html") if page.name != "404.html"]
    assert len(pages) > len(ELSEWHERE)
    for file in pages:
        page = file.read_text(encoding="utf-8")
        fetched = re.findall(r"<(?:script|img|iframe)[^>]*\ssrc=\"([^\"]+)", page)
        fetched += re.findall(r"<link[^>]*\shref=\"([^\"]+)", page)
        assert [each for each in fetched if re.match(r"(?:https?:)?//", each)] == []
        for target in fetched:
            assert (file.parent / target.partition("?")[0]).exists(), f"{file.name}: {target}"
    for style in tmp_path.rglob("*.css"):
        assert not re.findall(r"url\(['\"]?(?:https?:)?//", style.read_text(encoding="utf-8"))


# --- reading pages


def _blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Language and text of each fenced block."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^ *```(\w*)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
        yield found[1], found[2]


def _prose(page: Path) -> str:
    """The page without its blocks and inline code."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`]*`", "", text)


def _spans(page: Path) -> list[str]:
    """What stands between backticks in sentences, in one line each."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]


@cache
def _anchors(page: Path) -> frozenset[str]:
    """What a heading is called in a link: as GitHub and the site make it."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[`*]|\]\([^)]*\)|\[", "", head).lower() for head in heads)
    return frozenset(re.sub(r"[^\w\- ]", "", head).replace(" ", "-") for head in plain)


def _command_lines(page: Path) -> Iterator[str]:
    for language, text in _blocks(page):
        if language in ("", "sh", "bash"):
            yield from text.replace("\\\n", " ").splitlines()


def _commands(line: str) -> Iterator[list[str]]:
    """The commands of a shell line, without the variables that are set before them."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set(";&|"):
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)
            if words:
                yield words
            words = []
        else:
            words.append(word)


# --- judging commands


@cache
def _parsers() -> dict[str, ArgumentParser]:
    return {"pipeline": pipeline.cli.build_parser(), "yolov2": yolov2.cli.build_parser()}


def _problem(words: list[str]) -> str:
    program, *arguments = words
    if program in _parsers():
        return _parsed(_parsers()[program], arguments)
    if program == "python":
        return _python(arguments)
    if program == "make":
        targets = [word for word in arguments if "=" not in word]
        return "" if all(map(_target, targets)) else "no such target"
    if program == "torchrun":
        start = arguments.index("-m")
        return _python(arguments[start:])
    if program == "dvc" and arguments[0] == "repro":
        stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
        named = [word for word in arguments[1:] if not word.startswith("-")]
        return "" if set(named) <= set(stages) else "no such stage"
    return "" if program in FOREIGN else "what program is that?"


def _python(arguments: list[str]) -> str:
    if arguments[0] != "-m":
        return "" if (ROOT / arguments[0]).is_file() else "no such file"
    name, *rest = arguments[1:]
    if name in _parsers():
        return _parsed(_parsers()[name], rest)
    if not _module(name):
        return "no such module"
    if name in {f"flows.{flow}" for flow in reference.FLOWS}:
        return _parsed(reference.flow_parser(name), rest)
    file = ROOT / f"{name.replace('.', '/')}.py"
    source = file.read_text(encoding="utf-8") if file.is_file() else ""
    unknown = [word for word in rest if word.startswith("--") and f'"{word}"' not in source]
    return f"does not know {', '.join(unknown)}" if source and unknown else ""


def _parsed(parser: ArgumentParser, arguments: list[str]) -> str:
    try:
        parser.parse_args(arguments)
    except SystemExit as error:
        return f"exit status {error.code}" if error.code else ""
    return ""


def _target(name: str) -> bool:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return re.search(rf"^{re.escape(name.rstrip('.,;'))}:", makefile, re.MULTILINE) is not None


def _module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    if path.with_suffix(".py").is_file() or (path / "__main__.py").is_file():
        return True
    return name.split(".")[0] not in ("pipeline", "yolov2", "flows", "benchmarks", "deploy") and (
        "." not in name and importlib.util.find_spec(name) is not None
    )


@cache
def _parameters() -> frozenset[str]:
    def named(section: Any, prefix: str) -> Iterator[str]:
        for one in fields(section):
            value = section.__dict__[one.name]
            yield prefix + one.name
            if is_dataclass(value):
                yield from named(value, f"{prefix}{one.name}.")

    return frozenset(named(FULL, ""))


def _sections() -> set[str]:
    return {one.name for one in fields(FULL)}


def test_a_wrong_command_is_found() -> None:
    assert _problem(["pipeline", "promote", "--never"]) == "exit status 2"
    assert _problem(["yolov2", "trian"]) == "exit status 2"
    assert _problem(["python", "-m", "flows.training", "--data"]) == "exit status 2"
    assert _problem(["python", "-m", "benchmarks.loss", "--sped"]) == "does not know --sped"
    assert _problem(["python", "-m", "pipeline.compare", "a", "b"]) == "no such module"
    assert _problem(["make", "coffee"]) == "no such target"
    assert _problem(["rm", "-rf", "x"]) == "what program is that?"
    assert list(_commands("A=1 dvc repro && pipeline status | head; x  # y")) == [
        ["dvc", "repro"],
        ["pipeline", "status"],
        ["head"],
        ["x"],
    ]
    assert os.environ.get("A") is None
