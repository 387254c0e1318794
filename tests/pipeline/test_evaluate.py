"""Stage ``evaluate``: figures, tables, thresholds; and the run that its recorder makes of them."""

import errno
import json
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from pipeline import anchors, evaluate, paths, report
from pipeline.running import recorder
from pipeline.running.recorder import Recorder
from pipeline.tracking.connection import connect
from pipeline.tracking.follow import follow
from pipeline.tracking.recordings import pending, send_pending
from tests.pipeline import tracked
from tests.pipeline.recorders import kill_recorder, until
from tests.pipeline.small_training import stored_figures, stored_runs
from tests.tables import make_tables
from yolov2.evaluation.figures import flat_metrics
from yolov2.files import file_sha256
from yolov2.network.checkpoint import save_checkpoint
from yolov2.network.yolov2 import YOLOv2

ROOT = Path(__file__).resolve().parents[2]
PARAMS = """\
data: {config: data/set.yaml}
machine: {device: cpu, num_workers: 0}
anchors: {method: default}
evaluate: {split: SPLIT, pictures: 2, resamples: 50}
"""
TRAINED = {"key": tracked.KEY, "parameters": {"train": {"lr": 0.5}, "evaluate": {"split": "val"}}}
FOLDER = "reports/evaluate"
DATABASE = Path("mlflow.db")


@pytest.fixture
def stage(repository: Path) -> Callable[[str], dict[str, Any]]:
    """Runs the stage in a folder with a data set and a checkpoint; the content of its figures."""
    tables = make_tables(
        [("train", 32, 32, [(0, 0, 0, 9, 9)]), ("val", 64, 48, [(0, 5, 5, 25, 35)])], ["thing"]
    )
    tables.write(Path("artifacts"))
    tracked.write_json(paths.TRAINING, **TRAINED)
    for row in tables.images.itertuples():
        path = Path("data", str(row.image))
        path.parent.mkdir(parents=True)
        Image.new("RGB", (int(row.width), int(row.height))).save(path)  # type: ignore[call-overload]
    Path("data/set.yaml").write_text("train: images/train\nval: images/val\nnames: [thing]\n")
    network = YOLOv2(1, [(1.0, 1.0)], width=0.05)
    save_checkpoint(Path("models/best.pt"), network, class_names=("thing",), image_size=32)

    def run(split: str) -> dict[str, Any]:
        Path("params.yaml").write_text(PARAMS.replace("SPLIT", split))
        evaluate.main()
        return dict(json.loads(paths.METRICS.read_text()))

    return run


def outs_of(name: str) -> set[str]:
    outs = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][name]["outs"]
    return {out for out in outs if out.startswith(FOLDER)}


def files_in(folder: str) -> set[str]:
    return {path.as_posix() for path in Path(folder).rglob("*.*")}


def test_stage_writes_every_output_and_its_run_is_a_complete_row(
    stage: Callable[[str], dict[str, Any]], capfd: pytest.CaptureFixture[str]
) -> None:
    metrics = stage("val")
    printed = capfd.readouterr()
    assert printed.err == ""
    assert (metrics["split"], metrics["images"], metrics["boxes"]) == ("val", 1, 1)
    assert set(metrics["per_class"]) == {"thing"}
    assert set(metrics["intervals"]) == {"AP", "AP50"}
    assert metrics["bootstrap"] == {"resamples": 50, "seed": 0}
    assert metrics["optimistic"] == "a training chooses its checkpoint by the val split"
    assert files_in(FOLDER) == outs_of("evaluate")
    thresholds = json.loads(paths.THRESHOLDS.read_text())
    assert (thresholds["split"], list(thresholds["classes"])) == ("val", ["thing"])
    assert "val: 1 images, 1 boxes" in printed.out
    assert (
        "\n  optimistic: a training chooses its checkpoint by the val split; on new images expect"
        " less\n"
    ) in printed.out

    store = connect("yolov2")
    (run,) = tracked.runs(store, "evaluate")
    assert run.info.status == "FINISHED"
    assert run.data.params["train.lr"] == "0.5"
    assert run.data.params["evaluate.pictures"] == "2"
    wanted = {name: value for name, value in flat_metrics(metrics).items() if value is not None}
    assert {f"val/{name}" for name in wanted} == set(run.data.metrics)
    assert run.data.metrics["val/AP_low"] == metrics["intervals"]["AP"][0]
    assert run.data.tags["result"] == file_sha256(paths.METRICS)
    assert run.data.tags["optimistic"] == "a training chooses its checkpoint by the val split"
    assert run.data.tags["mlflow.source.name"]
    (training,) = tracked.runs(store, "train")  # this store had never seen it
    assert run.data.tags["mlflow.parentRunId"] == training.info.run_id
    assert training.data.tags["imported"] == "true"
    stored = {f"reports/{name}" for name in tracked.files(store, run.info.run_id)}
    assert files_in(FOLDER) | {"reports/metrics.json"} <= stored
    drawn = {name for name in stored if name.endswith((".png", ".jpg"))}
    assert f"{FOLDER}/images/best-1.jpg" in drawn

    # the stage that draws for people draws the same
    Path("reports/train").mkdir()
    history = "epoch,step,lr,loss,coord,objectness,class,collisions,AP,AP50\n1,1,1,1,1,1,1,0,,\n"
    paths.HISTORY.write_text(history)
    anchors.main()
    report.main()
    made = {name for name in files_in(FOLDER) if name.endswith((".png", ".jpg"))}
    assert made == drawn
    assert outs_of("report") - {f"{FOLDER}/images"} == made - {f"{FOLDER}/images/best-1.jpg"}


def test_a_killed_recorder_s_run_is_completed_and_not_doubled(
    stage: Callable[[str], dict[str, Any]],
) -> None:
    def kill_when_it_has_begun() -> None:
        until(lambda: len(stored_runs(DATABASE)) == 2)  # the training's, and its own
        kill_recorder(os.getpid(), "record")

    killer = threading.Thread(target=kill_when_it_has_begun)
    killer.start()
    stage("val")
    killer.join()
    store = connect("yolov2")
    (run,) = tracked.runs(store, "evaluate")
    assert run.info.status == "FINISHED"
    points = [point[:2] for point in stored_figures(DATABASE, run.info.run_id)]
    assert len(points) == len(set(points)) > 0
    assert "evaluate/pr_curve.png" in tracked.files(store, run.info.run_id, "evaluate")
    assert pending() == []
    assert list(stored_runs(DATABASE).values()) == ["FINISHED", "FINISHED"]


@pytest.mark.usefixtures("unrecorded")
def test_stage_names_the_splits_that_exist_and_what_to_type(
    stage: Callable[[str], dict[str, Any]],
) -> None:
    expected = r"no test split \(it has: train, val\).*`-S evaluate.split=val`"
    with pytest.raises(ValueError, match=expected):
        stage("test")
    assert not Path(recorder.RECORDINGS).exists()


@pytest.mark.usefixtures("unrecorded")
def test_a_missing_training_is_said_before_anything_is_measured(
    stage: Callable[[str], dict[str, Any]],
) -> None:
    paths.TRAINING.unlink()
    with pytest.raises(ValueError, match=r"training.json not found: make it with `dvc repro tra"):
        stage("val")
    assert not paths.METRICS.exists()


@pytest.mark.usefixtures("unrecorded")
def test_thresholds_come_from_the_validation_split_whatever_is_scored(
    stage: Callable[[str], dict[str, Any]],
) -> None:
    metrics = stage("train")
    thresholds = json.loads(paths.THRESHOLDS.read_text())
    assert (metrics["split"], thresholds["split"]) == ("train", "val")
    assert metrics["optimistic"] == "a training learns from the train split"


@pytest.mark.usefixtures("unrecorded")
def test_what_is_edited_meanwhile_leaves_no_recording(
    stage: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("dvc.yaml").write_text(json.dumps({"stages": {"evaluate": {"params": ["evaluate.seed"]}}}))

    def then_edit(*given: Any) -> str:
        text = paths.PARAMS.read_text()
        paths.PARAMS.write_text(text.replace("resamples: 50", "resamples: 50, seed: 3"))
        return ""

    monkeypatch.setattr(evaluate, "evaluation_line", then_edit)
    with pytest.raises(ValueError, match=r"stage evaluate ran: params.yaml: evaluate.seed null, n"):
        stage("val")
    assert list(Path(recorder.RECORDINGS).glob("*")) == []


def test_an_edit_while_the_recorder_is_waited_for_leaves_the_stage_stale_and_the_run_true(
    stage: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("dvc.yaml").write_text(json.dumps({"stages": {"evaluate": {"params": ["evaluate.seed"]}}}))
    finish = Recorder.finish

    def then_edit(given: Recorder, status: recorder.Status) -> None:
        finish(given, status)
        text = paths.PARAMS.read_text()
        paths.PARAMS.write_text(text.replace("resamples: 50", "resamples: 50, seed: 3"))

    monkeypatch.setattr(Recorder, "finish", then_edit)
    with pytest.raises(ValueError, match=r"stage evaluate ran: params.yaml: evaluate.seed null, n"):
        stage("val")
    (run,) = tracked.runs(connect("yolov2"), "evaluate")
    assert run.info.status == "FINISHED"
    assert run.data.params["evaluate.seed"] == "0"  # what was measured with
    assert run.data.tags["result"] == file_sha256(paths.METRICS)


def test_what_the_system_refuses_to_the_recorder_fails_nothing(
    stage: Callable[[str], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real = recorder._start

    def start(module: str, *given: str, **pipes: Any) -> "subprocess.Popen[bytes]":
        if module == "pipeline.tracking.record":
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return real(module, *given, **pipes)

    with monkeypatch.context() as busy:
        busy.setattr(recorder, "_start", start)
        assert stage("val")["images"] == 1
    assert "this cannot be recorded: [Errno 11] Resource temporarily" in capsys.readouterr().err
    (waits,) = pending()
    send_pending(follow)
    assert recorder.is_sent(waits)
    (run,) = tracked.runs(connect("yolov2"), "evaluate")
    assert run.data.tags["result"] == file_sha256(paths.METRICS)
