"""A copy of this project in a git repository of its own, whose pipeline runs for real."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.params.presets import DEMO, render
from tests.yolov2.trainer import changed

ROOT = Path(__file__).resolve().parents[2]
IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.com")


def copy_project(folder: Path, settings: Mapping[str, Any]) -> Path:
    """The working tree's files, committed in ``folder``, with the demo's parameters changed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    write_params(folder, settings)
    for command in (["init", "-q"], ["add", "."], [*IDENTITY, "commit", "-qm", "copy"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def write_params(folder: Path, settings: Mapping[str, Any]) -> None:
    """``params.yaml``: the demo's with these ``settings``, by dotted name."""
    (folder / "params.yaml").write_text(render("demo", changed(DEMO, dict(settings))))


def run(folder: Path, *arguments: str, status: int = 0) -> str:
    """``python -m ARGUMENTS`` in the copy, with its code; what it printed on standard output."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"PYTHONPATH": str(folder), "PATH": tools, "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env=os.environ | own,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout
