"""What the stages before ``train`` leave, for a tiny data set; and the stage as a program."""

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.params.presets import DEMO, render
from pipeline.tracking.store import Store
from tests.pipeline import tracked
from tests.yolov2.scenes import squares
from tests.yolov2.trainer import changed

STORE = Path("mlflow.db")
REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = {
    "data.config": "set/data.yaml",
    "evaluate.split": "val",
    "model.image_size": 64,
    "model.width": 0.125,
    "train.batch_size": 4,
    "train.epochs": 3,
    "train.validate_every": 2,
    "machine.num_workers": 0,
    "train.amp": "off",
}
"""The demo's parameters, changed so that a training takes seconds."""


def make_workspace(root: Path, settings: Mapping[str, Any], *, images: int = 6) -> Path:
    """Squares to train on in ``root``, and ``params.yaml``: ``SMALL`` with these ``settings``."""
    root.mkdir(parents=True, exist_ok=True)
    tables = squares(root / "set", train=images)
    description = "train: images/train\nval: images/val\nnames: [red, blue]\n"
    (root / "set" / "data.yaml").write_text(description)
    tables.write(root / paths.ARTIFACTS)
    (root / paths.ANCHORS).write_text(json.dumps({"anchors": [[0.6, 0.6], [1.0, 1.0]]}))
    params = changed(DEMO, {**SMALL, **settings})
    (root / paths.PARAMS).write_text(render("demo", params))
    (root / "dvc.yaml").write_text("stages: {train: {deps: []}}\n")
    return root


def start_stage(root: Path, **more: Any) -> "subprocess.Popen[str]":
    """``python -m pipeline.train`` in a workspace, in a process group of its own."""
    own = {"DVC_ROOT": str(root), "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.train"],
        cwd=root,
        env=os.environ | own,
        text=True,
        start_new_session=True,
        **more,
    )


def checkpoint_folder(root: Path) -> Path:
    """The run folder of the workspace's only training."""
    (folder,) = (root / "checkpoints").iterdir()
    return folder


def stored_runs(database: Path) -> dict[str, str]:
    """Status of each run in an MLflow database, by id, oldest first; asked past MLflow."""
    with closing(sqlite3.connect(database)) as opened:
        return dict(opened.execute("SELECT run_uuid, status FROM runs ORDER BY start_time"))


def stored_figures(database: Path, run_id: str) -> list[tuple[str, int, float]]:
    """Every point of every curve of a run, sorted: curve, step, value; asked past MLflow."""
    with closing(sqlite3.connect(database)) as opened:
        question = "SELECT key, step, value FROM metrics WHERE run_uuid = ? ORDER BY key, step"
        return list(opened.execute(question, (run_id,)))


def steps(run_id: str, curve: str) -> list[int]:
    """The steps of a curve, as often as it has them."""
    figures = stored_figures(STORE, run_id)
    return [step for name, step, _ in figures if name == curve]


def twice(run_id: str) -> list[tuple[str, int]]:
    """Points that a run has more than once."""
    points = Counter((name, step) for name, step, _ in stored_figures(STORE, run_id))
    return [point for point, count in points.items() if count > 1]


def open_store() -> Store:
    """The workspace's runs, as MLflow gives them."""
    return tracked.connect("yolov2")


def output(stage: "subprocess.Popen[str]", status: int = 0) -> tuple[str, str]:
    """What a stage has printed, which ended with ``status``."""
    printed, errors = stage.communicate(timeout=400)
    assert stage.returncode == status, f"{printed}\n{errors}"
    return printed, errors


def start(root: Path) -> "subprocess.Popen[str]":
    """The stage, heard."""
    return start_stage(root, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
