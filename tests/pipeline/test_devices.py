"""The stage ``train`` with a process a device."""

import subprocess
from pathlib import Path

import pandas as pd

from tests.pipeline.small_training import (
    checkpoint_folder,
    make_workspace,
    start_stage,
    stored_figures,
    stored_runs,
)


def test_two_processes_make_one_run(tmp_path: Path) -> None:
    settings = {"train.devices": 2, "train.batch_size": 4, "train.epochs": 2}
    root = make_workspace(tmp_path, settings, images=6)
    stage = start_stage(root, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = stage.communicate(timeout=300)
    assert stage.returncode == 0, errors
    assert [line.split("  ")[0] for line in output.splitlines() if "epoch" in line] == [
        "epoch 1/2",
        "epoch 2/2",
    ]
    ((run, status),) = stored_runs(root / "mlflow.db").items()
    assert status == "FINISHED"
    points = [(name, step) for name, step, _ in stored_figures(root / "mlflow.db", run)]
    assert len(points) == len(set(points))
    assert {step for name, step in points if name == "train/loss"} == {1, 2}
    # six images in steps of four, two on each device, then two
    history = pd.read_csv(checkpoint_folder(root) / "history.csv")
    assert history["step"].tolist() == [2, 4]
