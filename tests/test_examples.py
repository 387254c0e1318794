"""The programs in ``examples/`` do what they say, on tiny data."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.datasets import picture
from tests.pipeline.project import copy_project, run
from tests.yolov2.scenes import CLASS_NAMES, squares
from yolov2.data.table import LabelTables

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


def start(*command: str | Path, cwd: Path = ROOT, status: int = 0) -> str:
    """What a program prints, with this Python's tools before all others."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"PYTHONPATH": str(cwd if (cwd / "pipeline").exists() else ROOT), "PATH": tools}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | own,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def write_labels(root: Path, tables: LabelTables, names: tuple[str, ...] = CLASS_NAMES) -> Path:
    """Label files and ``data.yaml`` beside the images of ``tables``; the path of the last."""
    for row in tables.labels.to_dict("records"):
        file = root / str(row["file"])
        file.parent.mkdir(parents=True, exist_ok=True)
        box = " ".join(f"{row[key]:.6f}" for key in ("cx", "cy", "w", "h"))
        file.write_text(f"{row['class_id']} {box}\n")
    description = f"train: images/train\nval: images/val\nnames: [{', '.join(names)}]\n"
    (root / "data.yaml").write_text(description)
    return root / "data.yaml"


def test_train_then_detect_from_python(tmp_path: Path) -> None:
    data = write_labels(tmp_path / "set", squares(tmp_path / "set"))
    command = (sys.executable, EXAMPLES / "train_from_python.py", data, tmp_path / "run")
    small = ("--epochs", "2", "--image-size", "64")
    told = start(*command, *small)
    assert re.findall(r"^epoch (\d)/2", told, re.MULTILINE) == ["1", "2"]
    assert told.endswith(f"trained: {tmp_path / 'run' / 'best.pt'}\n")
    again = start(*command, *small)  # complete: nothing is trained twice
    assert "epoch" not in again

    images = [tmp_path / "set" / "images" / "val" / f"{number}.png" for number in (6, 7)]
    detect = (sys.executable, EXAMPLES / "detect_from_python.py")
    lines = start(*detect, tmp_path / "run" / "best.pt", *images).splitlines()
    heads = [line for line in lines if not line.startswith("  ")]
    assert [line.split(" <")[0] for line in heads] == [str(image) for image in images]
    counts = [int(line.split(" <")[1].split()[0]) for line in heads]
    assert len(lines) == len(heads) + sum(counts)


def test_train_says_what_is_wrong_with_labels(tmp_path: Path) -> None:
    data = write_labels(tmp_path / "set", squares(tmp_path / "set"))
    (tmp_path / "set" / "labels" / "train" / "0.txt").write_text("9 0.5 0.5 0.2 0.2\n")
    done = subprocess.run(
        [sys.executable, EXAMPLES / "train_from_python.py", data, tmp_path / "run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "0.txt:1" in done.stderr
    assert not (tmp_path / "run").exists()


def test_client_says_in_a_line_that_nobody_answers(tmp_path: Path) -> None:
    # with a server it is asked in tests/pipeline/serving/test_server.py
    (tmp_path / "a.jpg").write_bytes(picture())
    client = str(EXAMPLES / "client.py")
    command = [sys.executable, client, "--url", "http://127.0.0.1:9/invocations"]
    asked = [*command, str(tmp_path / "a.jpg")]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Connection refused" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_example_is_run_here() -> None:
    mine = Path(__file__).read_text(encoding="utf-8")
    programs = [path.name for path in EXAMPLES.rglob("*") if path.suffix in (".py", ".sh")]
    assert len(programs) >= 4
    assert [name for name in programs if f'"{name}"' not in mine] == []


SMALL = {
    "data.config": "data/street/data.yaml",
    "model.image_size": 64,
    "model.width": 0.125,
    "train.epochs": 2,
    "train.batch_size": 4,
    "train.validate_every": 1,
    "train.amp": "off",
    "evaluate.split": "val",
    "evaluate.resamples": 100,
    "evaluate.pictures": 0,
    "export.formats": ("onnx",),
    "export.max_ap_loss": 1.0,
    "promote.min_ap": 0.0,
    "promote.min_ap50": 0.0,
    "promote.max_latency_ratio": 100.0,
}


@pytest.mark.slow
def test_weekly_retraining_on_an_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    project = copy_project(tmp_path / "project", SMALL)
    street = project / "data" / "street"
    write_labels(street, squares(street, train=12, val=4))
    run(project, "dvc", "--wait-for-lock", "repro", "--quiet")
    run(project, "pipeline", "register")
    assert "promoted as the first" in run(project, "pipeline", "promote")

    week = tmp_path / "week-23"
    write_labels(week, squares(tmp_path / "later", train=30, val=4))
    for number in range(16, 30):  # those before are in the data set already, for val too
        (week / "images").mkdir(exist_ok=True)
        source = tmp_path / "later" / "images" / "train" / f"{number}.png"
        shutil.copyfile(source, week / "images" / f"new-{number}.png")
        label = week / "labels" / "train" / f"{number}.txt"
        label.rename(week / "labels" / f"new-{number}.txt")
    for folder in ("train", "val"):
        shutil.rmtree(week / "labels" / folder)
    (week / "data.yaml").unlink()

    script = project / "examples" / "weekly_retraining" / "retrain.sh"
    told = start("sh", script, week, cwd=project)
    assert "registered version 2" in told
    assert re.search(r"version 2 of yolov2 (promoted|refused) against version 1", told)
    # a second time there is nothing new, and the decision stands
    assert "registered version 2" not in start("sh", script, cwd=project)
