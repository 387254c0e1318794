"""The files around the code: the lock and the ranges agree, the Makefile tells what it can."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipeline.running.entry import TELEMETRY_OFF
from tests.architecture.imports import PACKAGES as OURS
from tests.architecture.imports import read_tree

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("yolov2", "pipeline", "flows")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    # nothing but name==version: no address, no editable, no option
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", pin)] == []
    return {canonicalize_name(name): version for name, version in (pin.split("==") for pin in pins)}


def _requirements(project: dict[str, Any]) -> Iterator[Requirement]:
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for group in groups:
        for text in group:
            requirement = Requirement(text)
            if requirement.name != project["name"]:
                yield requirement


def test_lock_pins_every_dependency_within_its_range(
    project: dict[str, Any], locked: dict[str, str]
) -> None:
    requirements = list(_requirements(project))
    assert len(requirements) > 20
    for requirement in requirements:
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in requirements.lock: make lock"
        assert requirement.specifier.contains(version), f"{requirement} is locked at {version}"


BROUGHT = {"botocore": "boto3"}
"""What a declared distribution is made on, and pins as it needs it."""


@pytest.mark.parametrize(
    ("package", "groups"),
    [
        ("yolov2", ["video"]),
        ("pipeline", ["pipeline"]),
        ("flows", ["pipeline"]),
        ("deploy", ["pipeline", "servers"]),
    ],
)
def test_what_is_imported_is_declared(
    package: str, groups: list[str], project: dict[str, Any]
) -> None:
    """What another distribution brings today it may leave at home tomorrow."""
    optional = project["optional-dependencies"]
    texts = [*project["dependencies"], *(text for group in groups for text in optional[group])]
    declared = {canonicalize_name(Requirement(text).name) for text in texts}
    known = packages_distributions()
    missing = set()
    for statement in read_tree(ROOT).imports:
        name = statement.target.split(".")[0]
        ours = statement.module.split(".")[0] == package and statement.place != "typing"
        if not ours or name in sys.stdlib_module_names or name in OURS:
            continue
        makers = {canonicalize_name(maker) for maker in known.get(name, [name])}
        if not makers & declared and BROUGHT.get(name) not in declared:
            missing.add(name)
    assert missing == set()


@pytest.mark.parametrize(
    ("name", "version"), [("fastapi", "0.151.0"), ("SQLAlchemy", "2.1.0"), ("prefect", "3.8.7")]
)
def test_versions_that_break_prefect_are_out_of_range(
    project: dict[str, Any], name: str, version: str
) -> None:
    [bounds] = [found.specifier for found in _requirements(project) if found.name == name]
    assert not bounds.contains(version)


def test_make_alone_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    [phony] = re.findall(r"^\.PHONY: (.+)$", text, flags=re.MULTILINE)
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^make (\S+) ", done.stdout, flags=re.MULTILINE) == phony.split()


def test_telemetry_is_off_wherever_something_is_started() -> None:
    assert TELEMETRY_OFF["ORT_DISABLE_TELEMETRY"] == "1"
    makefile = (ROOT / "Makefile").read_text()
    image = (ROOT / "deploy" / "Dockerfile").read_text().split("FROM base")[0]
    for name, value in TELEMETRY_OFF.items():
        assert f"export {name} := {value}\n" in makefile
        assert f" {name}={value}" in image


def test_the_wheel_has_every_module_and_says_that_they_are_typed(tmp_path: Path) -> None:
    source, made = tmp_path / "source", tmp_path / "made"
    source.mkdir()
    made.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("*.pyc"))
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(made)!r})"
    command = [sys.executable, "-c", build]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    [wheel] = made.glob("*.whl")
    with ZipFile(wheel) as archive:
        files = {name for name in archive.namelist() if ".dist-info/" not in name}
    modules = {str(p.relative_to(ROOT)) for each in PACKAGES for p in (ROOT / each).rglob("*.py")}
    assert len(modules) > 300
    assert files == modules | {f"{package}/py.typed" for package in PACKAGES}
