import json
from pathlib import Path

import pytest
import yaml
from PIL import Image

from pipeline import evaluate
from tests.tables import make_tables
from yolov2.evaluation.figures import flat_metrics
from yolov2.network.checkpoint import save_checkpoint
from yolov2.network.yolov2 import YOLOv2

ROOT = Path(__file__).resolve().parents[2]
PARAMS = """\
data: {config: data/set.yaml}
train: {device: cpu, num_workers: 0}
evaluate: {split: SPLIT, pictures: 2, resamples: 50}
"""
TRAINED = {"run_id": "abc", "parameters": {"train": {"lr": 0.5}, "evaluate": {"split": "val"}}}


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Runs the stage in a folder with a data set and a checkpoint; what it would log to MLflow."""
    monkeypatch.chdir(tmp_path)
    tables = make_tables(
        [("train", 32, 32, [(0, 0, 0, 9, 9)]), ("val", 64, 48, [(0, 5, 5, 25, 35)])], ["thing"]
    )
    tables.write(Path("artifacts"))
    Path("artifacts/train_run.json").write_text(json.dumps(TRAINED))
    for row in tables.images.itertuples():
        path = Path("data", row.image)
        path.parent.mkdir(parents=True)
        Image.new("RGB", (row.width, row.height)).save(path)
    Path("data/set.yaml").write_text("train: images/train\nval: images/val\nnames: [thing]\n")
    network = YOLOv2(1, [(1.0, 1.0)], width=0.05)
    save_checkpoint(Path("models/best.pt"), network, class_names=("thing",), image_size=32)
    logged = {}

    def log_evaluation(config, **content):
        logged.update(content)
        return "run-7"

    monkeypatch.setattr(evaluate, "check_reachable", lambda config: None)
    monkeypatch.setattr(evaluate, "log_evaluation", log_evaluation)

    def run(split):
        Path("params.yaml").write_text(PARAMS.replace("SPLIT", split))
        evaluate.main()
        return logged

    return run


def test_stage_writes_every_output_and_logs_a_complete_row(stage, capsys):
    logged = stage("val")
    metrics = json.loads(Path("reports/metrics.json").read_text())
    assert (metrics["split"], metrics["images"], metrics["boxes"]) == ("val", 1, 1)
    assert set(metrics["per_class"]) == {"thing"}
    files = {path.as_posix() for path in Path("reports/evaluate").rglob("*.*")}
    folder = "reports/evaluate"
    stage_outs = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["evaluate"]["outs"]
    outs = {out for out in stage_outs if out.startswith(folder)}
    assert files == outs - {f"{folder}/images"} | {f"{folder}/images/best-1.jpg"}
    assert set(metrics["intervals"]) == {"AP", "AP50"}
    assert metrics["bootstrap"] == {"resamples": 50, "seed": 0}
    thresholds = json.loads(Path("models/thresholds.json").read_text())
    assert (thresholds["split"], list(thresholds["classes"])) == ("val", ["thing"])
    record = json.loads(Path("artifacts/evaluate_run.json").read_text())
    assert record == {"run_id": "run-7", "training_run_id": "abc"}
    assert logged["training_run"] == TRAINED
    assert logged["parameters"]["train"] == {"lr": 0.5}
    assert logged["parameters"]["evaluate"]["pictures"] == 2
    assert logged["metrics"] == flat_metrics(metrics)
    assert logged["metrics"]["AP_low"] == metrics["intervals"]["AP"][0]
    assert {path.as_posix() for path in logged["artifacts"]} == files | {"reports/metrics.json"}
    printed = capsys.readouterr().out
    assert "val: 1 images, 1 boxes" in printed
    assert (
        "\n  optimistic: a training chooses its checkpoint by the val split; on new images expect"
        " less\n"
    ) in printed
    assert metrics["optimistic"] == "a training chooses its checkpoint by the val split"


def test_stage_names_the_splits_that_exist_and_what_to_type(stage):
    expected = r"no test split \(it has: train, val\).*`-S evaluate.split=val`"
    with pytest.raises(ValueError, match=expected):
        stage("test")


def test_thresholds_come_from_the_validation_split_whatever_is_scored(stage):
    stage("train")
    metrics = json.loads(Path("reports/metrics.json").read_text())
    thresholds = json.loads(Path("models/thresholds.json").read_text())
    assert (metrics["split"], thresholds["split"]) == ("train", "val")
    assert metrics["optimistic"] == "a training learns from the train split"
