"""A git and DVC repository whose two stages take no time, with the demo's ``params.yaml``."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline.params.presets import DEMO, render

PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
"""Stages start ``python``: it is this one."""

DVC_YAML = """\
stages:
  validate:
    cmd: mkdir -p artifacts && echo '{"splits":{"train":{"images":5}}}' > artifacts/dataset.json
    params: [validate]
    outs: [artifacts/dataset.json]
  evaluate:
    cmd: mkdir -p reports && echo '{"split":"test","AP":0.5,"AP50":0.75}' > reports/metrics.json
    deps: [artifacts/dataset.json]
    params: [evaluate.seed]
    metrics: [reports/metrics.json]
"""


def dvc(*arguments: str) -> str:
    """What ``dvc ARGUMENTS`` prints in the current folder."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        env=os.environ | {"DVC_NO_ANALYTICS": "1", "PATH": PATH},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_tiny(folder: Path) -> Path:
    """The repository, committed; nothing ran yet."""
    for command in (["git", "init", "-q"], [sys.executable, "-m", "dvc", "init", "-q"]):
        subprocess.run(command, cwd=folder, check=True, env=os.environ | {"DVC_NO_ANALYTICS": "1"})
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / "params.yaml").write_text(render("demo", DEMO))
    (folder / ".gitignore").write_text("/artifacts\n/reports\n")
    for command in (["add", "."], ["commit", "-qm", "tiny"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def copy(folder: Path, target: Path) -> Path:
    """A copy with all its links and times."""
    shutil.copytree(folder, target, symlinks=True)
    return target


def listed(folder: Path) -> set[str]:
    """What lies in the folder, but for what git and DVC keep for themselves."""
    found = (path.relative_to(folder) for path in folder.rglob("*"))
    return {path.as_posix() for path in found if path.parts[0] not in (".git", ".dvc")}
