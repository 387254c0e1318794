import json
import shutil
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.tracking.imports import import_folder
from tests.pipeline import tracked
from tests.pipeline.tracked import CONFIG, DIGEST, KEY, open_store


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder as ``yolov2 train`` and ``yolov2 evaluate`` leave it."""
    root = tmp_path_factory.mktemp("run")
    settings = {"model": {"width": 0.25}, "train": {"lr": 0.1}, "anchors": [[1.0, 2.0]]}
    tracked.write_json(root / "parameters.json", **settings)
    tracked.write_json(root / "hashes.json", fingerprint=KEY, weights="9" * 64, data=DIGEST)
    tracked.write_json(
        root / "environment.json",
        python="3.12.1",
        platform="Linux-elsewhere",
        packages={"torch": "2.14.1"},
        cpu_count=16,
        device="NVIDIA H200",
        device_type="cuda",
        cuda="13.0",
        command=["yolov2", "train", "--data", "d.yaml"],
    )
    (root / "history.csv").write_text(
        "epoch,step,lr,loss,coord,objectness,class,collisions,AP,AP50\n"
        "1,10,0.1,9.5,1,2,3,0,,\n2,20,0.1,8.5,1,2,3,1,0.25,0.5\n"
    )
    (root / "best.pt").write_bytes(b"weights")
    (root / "evaluate" / "images").mkdir(parents=True)
    (root / "evaluate" / "images" / "best-1.jpg").touch()
    tracked.write_json(root / "metrics.json", **tracked.SCORES)
    return root


def test_folder_becomes_two_runs(repository: Path, folder: Path) -> None:
    lines = import_folder(CONFIG, folder)
    store = open_store()
    (train,), (evaluate,) = tracked.runs(store, "train"), tracked.runs(store, "evaluate")
    assert lines == [
        f"training: made run {train.info.run_id}",
        f"evaluation: made run {evaluate.info.run_id}",
    ]
    assert (train.info.status, evaluate.info.status) == ("FINISHED", "FINISHED")
    assert train.data.params == {
        "model.width": "0.25",
        "train.lr": "0.1",
        "anchors": "[[1.0, 2.0]]",
    }
    assert train.data.metrics["val/AP"] == 0.25
    assert tracked.curve(store, train.info.run_id, "train/loss") == [(1, 9.5), (2, 8.5)]
    assert train.data.tags["hardware.gpu"] == "NVIDIA H200"
    assert train.data.tags["mlflow.source.name"] == "yolov2 train --data d.yaml"
    assert train.data.tags["imported"] == "true"
    assert "training/best.pt" in tracked.files(store, train.info.run_id)
    assert evaluate.data.tags["mlflow.parentRunId"] == train.info.run_id
    assert evaluate.data.params == {**train.data.params, "evaluate.split": "test"}
    assert evaluate.data.metrics == {"test/AP": 0.5, "test/AP50": 0.75, "test/AP/cat": 0.25}
    assert "evaluate/images/best-1.jpg" in tracked.files(store, evaluate.info.run_id)
    (data,) = evaluate.inputs.dataset_inputs
    assert data.dataset.digest == "c" * 36


def test_evaluation_on_other_data_and_thresholds(repository: Path, folder: Path) -> None:
    settings = {"split": "test", "nms_threshold": 0.45}
    tracked.write_json(folder / "evaluation.json", parameters=settings, data={"test": "7" * 64})
    import_folder(CONFIG, folder)
    (run,) = tracked.runs(open_store(), "evaluate")
    assert run.data.params["evaluate.nms_threshold"] == "0.45"
    assert run.data.tags["data.test"] == "7" * 64
    assert run.inputs.dataset_inputs[0].dataset.digest == "7" * 36


def test_second_import_adds_nothing(repository: Path, folder: Path) -> None:
    made = import_folder(CONFIG, folder)
    again = import_folder(CONFIG, folder)
    assert again == [line.replace("made run", "run") + " exists" for line in made]
    moved = folder.with_name("moved")
    shutil.copytree(folder, moved)
    assert import_folder(CONFIG, moved) == again
    store = open_store()
    assert [len(tracked.runs(store, stage)) for stage in ("train", "evaluate")] == [1, 1]


def test_evaluation_may_come_later(repository: Path, folder: Path) -> None:
    metrics = (folder / "metrics.json").read_text()
    (folder / "metrics.json").unlink()
    training, rest = import_folder(CONFIG, folder)
    assert rest == f"no evaluation: {folder}/metrics.json does not exist"
    (folder / "metrics.json").write_text(metrics)
    again, evaluation = import_folder(CONFIG, folder)
    assert again == training.replace("made run", "run") + " exists"
    assert evaluation.startswith("evaluation: made run ")


def test_unfinished_or_foreign_folder(repository: Path, folder: Path) -> None:
    (folder / "hashes.json").unlink()
    with pytest.raises(
        ValueError, match=r"hashes.json not found: make it with `yolov2 train`, which writes it wh"
    ):
        import_folder(CONFIG, folder)
    with pytest.raises(ValueError, match="no such folder: nowhere"):
        import_folder(CONFIG, Path("nowhere"))


def test_reap(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "params.yaml").write_text(json.dumps({"tracking": {"experiment": "trial"}}))
    store = open_store()
    tags = {"host": tracked.HOST, "pid": "4194999"}  # beyond the kernel's greatest
    dead = store.client.create_run(store.experiment_id, tags=tags).info.run_id
    elsewhere = store.client.create_run(store.experiment_id, tags=tags | {"host": "moon"})
    cli.run(["track", "reap"])
    assert capsys.readouterr().out == f"run {dead}: KILLED\n"
    cli.run(["track", "reap"])
    assert capsys.readouterr().out == "no run to end\n"
    assert store.client.get_run(elsewhere.info.run_id).info.status == "RUNNING"
