"""ONNX Runtime as a program of ours uses it: it calls nobody, and knows the process it is in."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipeline.tracked import write_graph
from tests.yolov2.detection.stand_in import checkpoint, grey
from yolov2.runtime.session import onnx_runtime

ROOT = Path(__file__).resolve().parents[3]

DETECT = """
from yolov2.cli import main
options = ["--source", "x.png", "--output-dir", "found", "--device", "cpu"]
status = main(["detect", "--weights", "model.onnx", *options])
"""
SERVE = """
from types import SimpleNamespace
import pandas as pd
from pathlib import Path
from pipeline.serving.model import ServedDetector
served = ServedDetector()
served.load_context(SimpleNamespace(artifacts={"onnx": "model.onnx"}))
status = 1 - len(served.predict(None, pd.DataFrame({"image": [Path("x.png")]})))
"""
END = "\nimport time, sys; time.sleep(1); sys.exit(status)\n"


FORK = """
import os, signal, sys
import torch
from pathlib import Path
torch.set_num_threads(int(sys.argv[2]))
{load}
print(len(use()), flush=True)
child = os.fork()
if child == 0:
    signal.alarm(60)
    try:
        print(len(use()), flush=True)
    except ValueError as error:
        print(error, flush=True)
    os._exit(0)
sys.exit(os.waitpid(child, 0)[1])
"""
"""A model is loaded and used; then a fork of the process uses it."""
LOADED = {
    "detector": """
from yolov2.config.evaluate import DetectConfig
from yolov2.detection.detect import Detector
detector = Detector.load(sys.argv[1], "cpu", DetectConfig(conf_threshold=0))
use = lambda: detector([Path("x.png")] * 8)
""",
    "session": """
import numpy as np
from yolov2.runtime.graphs import open_onnx
graph = open_onnx(Path(sys.argv[1]))
use = lambda: graph.run(np.zeros((8, 3, 64, 64), np.float32))
""",
}
IN_A_FORK = (
    r"the model was loaded in process \d+ and is used in its fork \d+, where its threads do not"
    r" exist: load it in each process, start processes by spawn instead of fork, or compute with"
    r" one thread \(OMP_NUM_THREADS=1\)"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph, a checkpoint and an image."""
    folder = tmp_path_factory.mktemp("session")
    write_graph(folder / "model.onnx")
    checkpoint(folder)
    grey(99).save(folder / "x.png")
    return folder


@pytest.mark.parametrize(
    ("how", "weights"),
    [
        ("detector", "best.pt"),
        pytest.param("detector", "model.onnx", marks=pytest.mark.slow),
        ("session", "model.onnx"),
    ],
)
def test_a_fork_of_the_process_that_loaded_it_is_told(folder: Path, how: str, weights: str) -> None:
    """It would wait for ever for threads that only its parent has; without threads it computes."""
    for threads, told in ((2, IN_A_FORK), (1, "8")):
        done = subprocess.run(
            [sys.executable, "-c", FORK.format(load=LOADED[how]), weights, str(threads)],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(threads)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        parent, child = done.stdout.splitlines()
        assert parent == "8"
        assert re.fullmatch(told, child)


def traced(record: Path) -> list[str]:
    """What writes the system calls of a command into ``record``; nothing where that is not so."""
    wrapper = ["strace", "-f", "-qq", "-e", "trace=network,openat,open,creat,mkdir", "-o"]
    if shutil.which("strace") is None:
        return []
    tried = subprocess.run([*wrapper, str(record), "true"], capture_output=True)
    return [*wrapper, str(record)] if tried.returncode == 0 else []


def outside(record: str, inside: Path) -> list[str]:
    """System calls that speak to another machine or create a file outside of ``inside``."""
    found = []
    for line in record.splitlines():
        if re.search(r"\b(connect|sendto|sendmsg|bind)\(", line):
            if "AF_INET" in line and not re.search(r'"(127\.[\d.]+|::1)"', line):
                found.append(line)
        elif (
            re.search(r"O_CREAT|O_WRONLY|O_RDWR|\bcreat\(|\bmkdir\(", line) and " = -1 " not in line
        ):
            path = re.search(r'"([^"]*)"', line)
            name = path[1] if path else ""
            if name.startswith("/") and not name.startswith((str(inside), "/dev/", "/proc/")):
                found.append(line)
    return found


@pytest.mark.parametrize("program", [DETECT, SERVE], ids=["detect", "serve"])
def test_a_graph_calls_nobody_and_leaves_nothing(
    folder: Path, tmp_path: Path, program: str
) -> None:
    """Native code is no matter of Python's hooks: the system calls, and the home folder."""
    work, home = tmp_path / "work", tmp_path / "home"
    shutil.copytree(folder, work)
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if "TELEMETRY" not in name}
    own = {"HOME": str(home), "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    kept = {name: value for name, value in kept.items() if not name.startswith("XDG_")}
    command = traced(tmp_path / "trace.txt")
    done = subprocess.run(
        [*command, sys.executable, "-c", program + END],
        cwd=work,
        env=kept | own | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()] == []
    if command:
        record = (tmp_path / "trace.txt").read_text(errors="replace")
        assert "model.onnx" in record
        assert outside(record, tmp_path) == []


def test_who_wants_telemetry_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    onnx_runtime()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"
