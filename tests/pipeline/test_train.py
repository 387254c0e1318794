"""The stage ``train``: interrupted, taken up again, and not repeated."""

import json
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from pipeline import paths, train
from pipeline.params.presets import DEMO, render
from tests.yolov2.scenes import squares
from yolov2.training.loop import EpochReport

SETTINGS = {
    "epochs: 16": "epochs: 3",
    "batch_size: 16": "batch_size: 4",
    "image_size: 128\n  width: 0.25": "image_size: 64\n  width: 0.125",
    "validate_every: 4": "validate_every: 2",
    "num_workers: 1": "num_workers: 0",
    "split: test": "split: val",
    "config: data/digits/digits.yaml": "config: set/data.yaml",
}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the stages before ``train`` leave, for a tiny data set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    tables = squares(tmp_path / "set")
    description = "train: images/train\nval: images/val\nnames: [red, blue]\n"
    (tmp_path / "set" / "data.yaml").write_text(description)
    tables.write(paths.ARTIFACTS)
    paths.ANCHORS.write_text(json.dumps({"anchors": [[0.6, 0.6], [1.0, 1.0]]}))
    text = render("demo", DEMO)
    for old, new in SETTINGS.items():
        assert old in text
        text = text.replace(old, new)
    paths.PARAMS.write_text(text)
    Path("dvc.yaml").write_text("stages: {train: {deps: []}}\n")
    return tmp_path


def steps(run_id: str, metric: str) -> list[int]:
    client = mlflow.MlflowClient("sqlite:///mlflow.db")
    return [point.step for point in client.get_metric_history(run_id, metric)]


def test_killed_before_the_first_validation_it_goes_on_in_the_same_run(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = train.describe

    def interrupt(report: EpochReport) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "describe", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train.main()
    assert not paths.BEST.exists()
    (folder,) = train.checkpoint_root().iterdir()
    run_id = json.loads((folder / train.RUN).read_text())["run_id"]

    monkeypatch.setattr(train, "describe", real)
    train.main()
    assert json.loads(paths.TRAIN_RUN.read_text())["run_id"] == run_id
    assert steps(run_id, "train/loss") == [1, 2, 3]
    assert steps(run_id, "val/AP") == [2, 3]
    assert pd.read_csv(paths.HISTORY)["epoch"].tolist() == [1, 2, 3]
    assert all(path.is_file() for path in (paths.BEST, paths.LAST))

    before = paths.BEST.read_bytes()
    paths.BEST.unlink()
    train.main()  # complete: its result is taken, nothing is trained or logged again
    assert paths.BEST.read_bytes() == before
    assert steps(run_id, "train/loss") == [1, 2, 3]


def test_a_missing_split_is_said_before_the_training(workspace: Path) -> None:
    text = paths.PARAMS.read_text()
    paths.PARAMS.write_text(text.replace("split: val", "split: test"))
    with pytest.raises(ValueError, match=r"no test split .* `-S evaluate.split=val`"):
        train.main()
    assert not train.checkpoint_root().exists()
