"""A working copy with a real, tiny DVC pipeline in place of the detector's."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

DVC_YAML = """\
stages:
  digits:
    cmd: echo three > digits.txt
    outs: [digits.txt]
  train:
    cmd: python work.py
    deps: [digits.txt, work.py, behaviour.txt]
    outs: [artifacts/training.json]
    metrics: [reports/metrics.json]
"""

WORK = """\
import json, os, signal, subprocess, sys, time
from pathlib import Path

def write(file, content):
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).write_text(json.dumps(content))

behaviour = Path("behaviour.txt").read_text().split()[0]
if behaviour == "flaky" and not Path("tried.txt").exists():
    from pipeline.running.entry import run_stage

    Path("tried.txt").write_text("once")
    def main():
        raise ConnectionError("the server went away")
    run_stage(main)
if behaviour == "fail":
    print("reading")
    print("error: labels/7.txt:3: class 99 is out of range: classes are 0 to 9", file=sys.stderr)
    sys.exit(1)
if behaviour == "hang":
    def stop(number, frame):
        print("saying goodbye", flush=True)
        time.sleep(1)  # longer than dvc, which dies at once
        Path("checkpoint.txt").write_text("saved")
        sys.exit(143)
    signal.signal(signal.SIGTERM, stop)
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path("hanging.txt").write_text(str(os.getpid()))
    print("hanging")
    time.sleep(600)
write("artifacts/training.json", {"key": "1a2b"})
classes = {"three": {"AP": 0.25, "AP50": 0.5}, "four": {"AP": 0.125, "AP50": 0.75}}
metrics = {"AP": 0.1875, "AP50": 0.625, "split": "test", "images": 3, "boxes": 5}
write("reports/metrics.json", metrics | {"per_class": classes})
print("trained")
"""


COMMAND = """\
import runpy, sys
from pathlib import Path
fake = Path("fakes", f"{sys.argv[1]}.py")
if fake.exists():
    del sys.argv[1]
    runpy.run_path(str(fake), run_name="__main__")
else:
    from pipeline.cli import main
    main()
"""
"""Stands for the command ``pipeline``: words that are a program in ``fakes`` run that one."""

REGISTER = """\
import json, sys
from pathlib import Path
runs = {"training": "1a2b", "evaluation": "3c4d"}
told = {"version": 1, "sentence": "version 1 exists", "runs": runs}
Path(sys.argv[2]).write_text(json.dumps(told))
"""

STANDING = """\
import json, sys
from pathlib import Path
decided = Path("decided.txt").exists()
told = {"pending": not decided, "sentence": "version 1 of yolov2 is the champion already"}
Path(sys.argv[2]).write_text(json.dumps(told))
"""

PROMOTE = """\
import json, sys
from pathlib import Path
page = Path("reports/promotion.html")
page.with_suffix(".md").write_text("# Promotion")
verdict = Path("verdict.txt").read_text()
options = sys.argv[1:-2]  # without --summary FILE
if "--decline" in options:
    verdict = "declined"
if "--hold" in options and verdict == "promoted":
    verdict = "awaiting approval"
told = {"verdict": verdict, "sentence": f"version 1 {verdict}: better", "version": 1}
Path(sys.argv[-1]).write_text(json.dumps(told | {"page": str(page)}))
if verdict != "awaiting approval":
    Path("decided.txt").write_text(" ".join(options))
sys.exit(0 if verdict == "promoted" else 3)
"""


DATA = """\
import errno, os, shutil, signal, sys
from pathlib import Path
from pipeline.running.entry import run_stage

folder = Path(sys.argv[2])

def main():
    if (folder / "bad").exists():
        raise ValueError("7.txt:3: class 99 is out of range: classes are 0 to 9")
    if Path("full.txt").exists():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if (folder / "deadly").exists():  # once
        (folder / "deadly").unlink()
        os.kill(int(Path(".dvc/tmp/pipeline.lock").read_text()), signal.SIGKILL)
        signal.pause()
    shutil.rmtree(folder)
    Path("behaviour.txt").write_text("succeed with " + folder.name)
    print("3 images, 5 boxes added to train:")

run_stage(main)
"""


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working copy that each test gets a copy of; nothing in it has run."""
    folder = tmp_path_factory.mktemp("template") / "copy"
    folder.mkdir()
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q", "--no-scm"], cwd=folder, check=True)
    for package in ("flows", "pipeline", "yolov2"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__py*"))
    shutil.copy(ROOT / "prefect.toml", folder)
    (folder / "pipeline" / "__main__.py").write_text(COMMAND)
    (folder / "fakes").mkdir()
    fakes = {"register": REGISTER, "standing": STANDING, "promote": PROMOTE, "data": DATA}
    for name, program in fakes.items():
        (folder / "fakes" / f"{name}.py").write_text(program)
    (folder / "verdict.txt").write_text("promoted")
    (folder / "params.yaml").write_text("flows: {retry_seconds: 1}\n")
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / "work.py").write_text(WORK)
    (folder / "behaviour.txt").write_text("succeed\n")
    return folder


@pytest.fixture
def workspace(template: Path, tmp_path: Path) -> Path:
    """A fresh working copy; what its ``train`` stage does stands in ``behaviour.txt``."""
    return Path(shutil.copytree(template, tmp_path / "workspace"))


@pytest.fixture
def environment(workspace: Path) -> dict[str, str]:
    """Environment for the flow programs: Prefect's home is in the working copy."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    return kept | {"PREFECT_HOME": str(workspace / ".prefect"), "LEASH_GRACE_SECONDS": "10"}


@pytest.fixture
def launch(
    workspace: Path, environment: dict[str, str]
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts ``python -m MODULE ARGUMENT ...`` in the working copy, output in ``output.log``.

    What a failing test leaves running is killed; its children are on a leash.
    """
    started: list[subprocess.Popen[str]] = []

    def launch(module: str, *arguments: str) -> subprocess.Popen[str]:
        with (workspace / "output.log").open("w") as log:
            command = [sys.executable, "-m", module, *arguments]
            process = subprocess.Popen(
                command, cwd=workspace, env=environment, stdout=log, stderr=log, text=True
            )
        started.append(process)
        return process

    yield launch
    for process in started:
        process.kill()
        process.wait()
