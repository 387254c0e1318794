import json
import math
import multiprocessing
import os
import signal
import sqlite3
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.running import processes
from pipeline.tracking import layout, marks
from pipeline.tracking.address import TrackingError, artifact_location, tracking_uri
from pipeline.tracking.connection import connect
from pipeline.tracking.runs import (
    log_evaluation,
    log_export,
    open_training_run,
    resolve_training_run,
)
from tests.pipeline import tracked
from tests.pipeline.tracked import CONFIG, KEY, PARAMETERS, identity, leave_tables, open_store


def train(losses: list[float], run_id: str | None = None) -> dict[str, Any]:
    """Log epochs with these losses; the content of ``train_run.json``."""
    with open_training_run(
        CONFIG, parameters=PARAMETERS, key=KEY, run_id=run_id, identity=identity()
    ) as run:
        run.log_tables(leave_tables(Path("run"), losses))
    return {
        "run_id": run.run_id,
        "model_id": run.model_id,
        "key": KEY,
        "experiment": CONFIG.experiment,
        "parameters": PARAMETERS,
    }


def evaluate(record: dict[str, Any], metrics: dict[str, float], **more: Any) -> str:
    arguments = {"artifacts": (), "identity": identity(), "parameters": PARAMETERS}
    return log_evaluation(CONFIG, training_run=record, metrics=metrics, **(arguments | more))


def test_training_run(repository: Path) -> None:
    record = train([4.0, 2.0])
    run = open_store().client.get_run(record["run_id"])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "train-01234567"
    assert run.data.params == {
        "data.config": "data/digits/digits.yaml",
        "data.root": ".",
        "model.image_size": "64",
        "model.width": "0.05",
        "train.lr": "0.01",
        "train.lr_steps": "[2, 3]",
        "train.loss.lambda_coord": "5.0",
        "train.device": "auto",
    }
    tags = run.data.tags
    assert (tags["stage"], tags["dvc.key"], tags["git.commit"]) == ("train", KEY, "1" * 40)
    assert tags["data.test"] == tracked.TEST_DIGEST
    assert run.data.metrics == {
        "train/loss": 2.0,
        "train/loss_coord": 0.25,
        "train/loss_objectness": 0.5,
        "train/loss_class": 0.125,
        "train/lr": 0.01,
        "train/collisions": 0.0,
        "train/images_per_second": 100.0,
        "train/seconds": 2.0,
        "train/data_wait": 0.25,
        "train/flop_utilisation": 0.5,
        "train/memory_gib": 0.0,
        "step/loss": 2.0,
        "step/loss_coord": 0.25,
        "step/loss_objectness": 0.5,
        "step/loss_class": 0.125,
        "val/AP": 0.2,
        "val/AP50": 0.4,
        "best/val_AP": 0.2,
        "best/epoch": 2.0,
    }
    assert tracked.curve(open_store(), record["run_id"], "train/loss") == [(1, 4.0), (2, 2.0)]
    assert tracked.curve(open_store(), record["run_id"], "step/loss") == [
        (1, 4.0),
        (2, 4.0),
        (3, 2.0),
        (4, 2.0),
    ]
    data = {i.dataset.name: (i.dataset.digest, i.tags[0].value) for i in run.inputs.dataset_inputs}
    assert data == {
        "digits/train": ("a" * 36, "training"),
        "digits/val": ("b" * 36, "validation"),
    }
    assert [m.model_id for m in run.outputs.model_outputs] == [record["model_id"]]
    assert open_store().client.get_logged_model(record["model_id"]).status == "PENDING"


def test_equal_code_data_and_parameters_give_equal_fingerprints(repository: Path) -> None:
    about = {
        "dependencies": {"pipeline/evaluate.py": "1", "artifacts/train_run.json": "2"},
        "files": {"params.yaml": "a: 1\r\n", "dvc.lock": "stages: {}\n"},
        "requirements_lock": "5" * 64,
        "reproduces": "f" * 32,
    }
    first, second = train([4.0]), train([4.0])
    one = evaluate(first, {"AP": 0.5}, identity=identity(**about))
    other_run = about | {"dependencies": about["dependencies"] | {"artifacts/train_run.json": "3"}}
    same = evaluate(second, {"AP": 0.5}, identity=identity(**other_run))
    third = evaluate(second, {"AP": 0.5}, identity=identity(**about))
    other = {**PARAMETERS, "evaluate": {"split": "test", "conf_threshold": 0.5}}
    changed = evaluate(second, {"AP": 0.5}, identity=identity(**about), parameters=other)
    edited = about | {"dependencies": {"pipeline/evaluate.py": "4"}}
    recoded = evaluate(second, {"AP": 0.5}, identity=identity(**edited))
    store = open_store()
    tags = {n: store.client.get_run(n).data.tags for n in (one, same, third, changed, recoded)}
    assert tags[one]["reproduces"] == "f" * 32
    assert "repeat_of" not in tags[one]
    assert tags[same]["fingerprint"] == tags[third]["fingerprint"] == tags[one]["fingerprint"]
    assert tags[same]["repeat_of"] == tags[third]["repeat_of"] == one
    assert len({tags[n]["fingerprint"] for n in (one, changed, recoded)}) == 3
    trained = store.client.get_run(second["run_id"]).data.tags
    assert (trained["fingerprint"], trained["repeat_of"]) == (KEY, first["run_id"])
    kept = tracked.files(store, one, "identity")
    assert {"identity/params.yaml", "identity/dvc.lock"} <= kept
    place = store.client.download_artifacts(one, "identity", str(repository))
    assert Path(place, "params.yaml").read_bytes() == b"a: 1\r\n"
    assert json.loads(Path(place, "identity.json").read_text())["requirements_lock"] == "5" * 64


def test_export_is_a_run_below_its_training(repository: Path) -> None:
    record = train([4.0])
    report = repository / "export.json"
    report.write_text("{}")
    run_id = log_export(
        CONFIG,
        training_run=record,
        parameters=PARAMETERS,
        metrics={"onnx/AP": 0.5, "onnx/AP50": None},
        artifacts=[report],
        identity=identity(),
    )
    run = open_store().client.get_run(run_id)
    assert (run.data.tags["stage"], run.data.metrics) == ("export", {"onnx/AP": 0.5})
    assert run.data.tags["mlflow.parentRunId"] == record["run_id"]
    assert "export.json" in tracked.files(open_store(), run_id)


def test_a_run_tells_what_is_new_and_where_its_training_came_from(repository: Path) -> None:
    one, other = identity(invocation="1"), identity(invocation="2")
    with open_training_run(CONFIG, parameters=PARAMETERS, key=KEY, identity=one) as run:
        pass
    record = {"run_id": run.run_id, "key": KEY, "parameters": PARAMETERS}
    metrics = {"AP": 0.5, "AP50": 0.75, "AP_low": 0.4, "AP_high": 0.625}
    strict = {**PARAMETERS, "evaluate": {"split": "test", "conf_threshold": 0.5}}
    first = evaluate(record, metrics, identity=one)
    second = evaluate(record, metrics, identity=other, parameters=strict)
    by_hand = evaluate(record, metrics, parameters=strict)
    client = open_store().client
    known = {i: client.get_run(i).data.tags for i in (first, second, by_hand)}
    assert [tags.get("train.origin") for tags in known.values()] == [
        "this invocation",
        "cache",
        None,
    ]
    assert {tags["train.run"] for tags in known.values()} == {run.run_id}
    assert [tags["changed"] for tags in known.values()] == [
        "first",
        "evaluate.conf_threshold 0.001 → 0.5",
        "nothing",
    ]
    assert known[second]["changed.since"] == first
    assert known[second]["mlflow.runName"] == "evaluate-conf_threshold=0.5-01234567"
    assert known[second]["mlflow.note.content"] == (
        "**test AP 0.500 (0.400 to 0.625), AP50 0.750**\n\n"
        f"Training: [train-01234567](#/experiments/1/runs/{run.run_id}), taken from DVC's cache,"
        " not trained again by the call of `dvc` that made this run.\n\n"
        f"Changed since [the evaluate run before](#/experiments/1/runs/{first}):"
        " evaluate.conf_threshold 0.001 → 0.5."
    )


def test_a_resumed_run_stays_what_it_was_told_to_be(repository: Path) -> None:
    record = train([4.0])
    before = open_store().client.get_run(record["run_id"])
    slower = {**PARAMETERS, "train": {"lr": 0.001}}
    with open_training_run(CONFIG, parameters=slower, key="f" * 64, identity=identity()):
        pass
    with open_training_run(
        CONFIG,
        parameters=PARAMETERS,
        key=KEY,
        run_id=record["run_id"],
        identity=identity(invocation="2"),
    ):
        pass
    after = open_store().client.get_run(record["run_id"])
    same = ("changed", "mlflow.runColor", "mlflow.runName")
    assert [after.data.tags[n] for n in same] == [before.data.tags[n] for n in same]
    assert after.data.tags["dvc.invocation"] == "2"  # that call did train


def test_epochs_are_visible_while_training_runs(repository: Path) -> None:
    with open_training_run(
        CONFIG, parameters=PARAMETERS, key=KEY, run_id=None, identity=identity()
    ) as run:
        run.log_tables(leave_tables(repository / "run", [4.0]))
        seen = open_store().client.get_run(run.run_id)
        assert (seen.info.status, seen.data.metrics["train/loss"]) == ("RUNNING", 4.0)


def test_resumed_run_goes_on_without_repeating(repository: Path) -> None:
    record = train([4.0, 3.0])
    changed = {**PARAMETERS, "train": {**PARAMETERS["train"], "device": "cuda"}}
    with open_training_run(
        CONFIG, parameters=changed, key=KEY, run_id=record["run_id"], identity=identity()
    ) as run:
        assert run.run_id == record["run_id"]
        assert run.model_id == record["model_id"]
        run.log_tables(leave_tables(repository / "run", [4.0, 99.0, 2.0]))
    store = open_store()
    assert tracked.curve(store, run.run_id, "train/loss") == [(1, 4.0), (2, 3.0), (3, 2.0)]
    resumed = store.client.get_run(run.run_id)
    assert resumed.data.params["train.device"] == "auto"
    assert resumed.data.tags["resumed.train.device"] == "cuda"
    assert resumed.info.status == "FINISHED"
    assert len(tracked.runs(store, "train")) == 1


def test_resuming_fills_the_epochs_that_a_kill_lost(repository: Path) -> None:
    record = train([4.0])
    history = repository / "history.csv"
    history.write_text("epoch,step,lr,loss,collisions,AP\n1,9,0.1,7,0,\n2,18,0.1,3,1,0.5\n")
    with open_training_run(
        CONFIG, parameters=PARAMETERS, key=KEY, run_id=record["run_id"], identity=identity()
    ) as run:
        run.log_history(history)
    store = open_store()
    assert tracked.curve(store, run.run_id, "train/loss") == [(1, 4.0), (2, 3.0)]
    assert tracked.curve(store, run.run_id, "val/AP") == [(1, 0.1), (2, 0.5)]


def test_unknown_run_id_begins_a_new_run(repository: Path) -> None:
    record = train([1.0], run_id="f" * 32)
    assert record["run_id"] != "f" * 32


def test_failed_training(repository: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        open_training_run(CONFIG, parameters=PARAMETERS, key=KEY, run_id=None, identity=identity()),
    ):
        _ = 1 / 0
    assert [run.info.status for run in tracked.runs(open_store(), "train")] == ["FAILED"]


def test_interrupted_training(repository: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        open_training_run(CONFIG, parameters=PARAMETERS, key=KEY, run_id=None, identity=identity()),
    ):
        raise KeyboardInterrupt
    assert [run.info.status for run in tracked.runs(open_store(), "train")] == ["KILLED"]


def killed(folder: Path, by: signal.Signals) -> tuple[str, int | None]:
    """Run id and exit status of a stage that is killed while it trains."""
    here, there = multiprocessing.Pipe()
    processes = tracked.processes().Process(
        target=tracked.train_for_ever, args=(str(folder), there)
    )
    processes.start()
    assert here.poll(100)
    run_id = here.recv()
    os.kill(processes.pid or 0, by)
    processes.join(100)
    return run_id, processes.exitcode


def test_sigterm_leaves_killed_and_sigkill_is_reaped(repository: Path) -> None:
    first, status = killed(repository, signal.SIGTERM)
    assert status == 143
    store = open_store()
    assert store.client.get_run(first).info.status == "KILLED"
    second, status = killed(repository, signal.SIGKILL)
    assert status == -9
    assert store.client.get_run(second).info.status == "RUNNING"
    train([1.0])
    reaped = store.client.get_run(second)
    assert reaped.info.status == "KILLED"
    assert reaped.info.end_time == reaped.info.start_time  # it never logged an epoch


def test_stage_output_stays_readable(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (repository / "mlflow.db").unlink()  # so that the tables are made
    evaluate(train([1.0]), {"AP": 0.5})
    assert capfd.readouterr() == ("", "")


def test_run_of_a_living_process_is_left_alone(repository: Path) -> None:
    record = train([1.0])
    store = open_store()
    store.client.update_run(record["run_id"], status="RUNNING")
    store.set_tags(record["run_id"], {"pid": "1", "pid.started": processes.started("1") or ""})
    with pytest.raises(TrackingError, match=r"process 1 is still writing .* `kill 1`"):
        train([1.0], run_id=record["run_id"])
    train([1.0])
    assert store.client.get_run(record["run_id"]).info.status == "RUNNING"


def test_run_of_a_dead_process_whose_number_another_has_now_goes_on(repository: Path) -> None:
    record = train([1.0])
    store = open_store()
    store.client.update_run(record["run_id"], status="RUNNING")
    store.set_tags(record["run_id"], {"pid": "1", "pid.started": "before the restart 17"})
    assert train([1.0, 2.0], run_id=record["run_id"])["run_id"] == record["run_id"]


def test_run_is_found_from_its_first_moment(repository: Path) -> None:
    store = open_store()
    tags = marks.run_tags("train", KEY, identity()) | {"pid": "4194999"}
    store.begin_run("train", tags)  # and killed before anything else was stored
    train([1.0])
    assert [run.info.status for run in tracked.runs(store, "train")] == ["KILLED", "FINISHED"]


def test_signal_handler_is_restored(repository: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    train([1.0])
    assert signal.getsignal(signal.SIGTERM) is before


def test_evaluation_is_one_complete_row(repository: Path) -> None:
    record = train([2.0])
    report_folder = repository / "reports"
    (report_folder / "evaluate" / "images").mkdir(parents=True)
    artifacts = [
        report_folder / name
        for name in ("metrics.json", "evaluate/pr.png", "evaluate/images/best-1.jpg")
    ]
    for path in artifacts:
        path.touch()
    metrics = {"AP": 0.5, "AP50": 0.75, "APsmall": math.nan, "AP50/dog (big)": 0.25}
    run_id = evaluate(record, metrics, artifacts=[*artifacts, report_folder / "evaluate"])
    store = open_store()
    run = store.client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "evaluate-01234567"
    assert run.data.metrics == {"test/AP": 0.5, "test/AP50": 0.75, "test/AP50/dog _big_": 0.25}
    assert run.data.params["train.lr"] == "0.01"
    assert run.data.params["evaluate.conf_threshold"] == "0.001"
    assert "schedule.cron" not in run.data.params
    assert run.data.tags["mlflow.parentRunId"] == record["run_id"]
    assert (run.data.tags["stage"], run.data.tags["split"]) == ("evaluate", "test")
    assert run.data.tags["optimistic"] == "no"
    assert tracked.files(store, run_id) == {
        "metrics.json",
        "evaluate/pr.png",
        "evaluate/images/best-1.jpg",
        "identity/identity.json",
        "identity/parameters.json",
    }
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("digits/test", "c" * 36)
    assert json.loads(data.dataset.profile) == {"images": 7, "boxes": 9}
    assert [m.model_id for m in run.inputs.model_inputs] == [record["model_id"]]
    model = store.client.get_logged_model(record["model_id"])
    figures = {(m.key, m.value, m.dataset_name) for m in model.metrics}
    assert ("test/AP", 0.5, "digits/test") in figures


def test_evaluation_on_what_the_training_has_seen_says_so(repository: Path) -> None:
    record = train([2.0])
    for split, why in (
        ("val", "a training chooses its checkpoint by the val split"),
        ("train", "a training learns from the train split"),
    ):
        settings = PARAMETERS | {"evaluate": {"split": split}}
        run_id = evaluate(record, {"AP": 0.5}, parameters=settings)
        tags = open_store().client.get_run(run_id).data.tags
        assert tags["optimistic"] == why
        assert tags["mlflow.note.content"].startswith(
            f"**{split} AP 0.500** (optimistic: {why}; on new images expect less)\n\n"
        )
    run_id = log_export(
        CONFIG,
        training_run=record,
        parameters=PARAMETERS | {"evaluate": {"split": "val"}},
        metrics={"onnx/AP": 0.5},
        artifacts=[],
        identity=identity(),
    )
    tags = open_store().client.get_run(run_id).data.tags
    assert tags["optimistic"] == "a training chooses its checkpoint by the val split"


def test_evaluation_leaves_the_training_as_it_was(repository: Path) -> None:
    record = train([2.0])
    before = open_store().client.get_run(record["run_id"]).to_dictionary()
    evaluate(record, {"AP": 0.5})
    evaluate(record, {"AP": 0.6})
    store = open_store()
    assert store.client.get_run(record["run_id"]).to_dictionary() == before
    figures = [run.data.metrics for run in tracked.runs(store, "evaluate")]
    assert figures == [{"test/AP": 0.5}, {"test/AP": 0.6}]


def test_training_of_another_store_is_imported_once(repository: Path) -> None:
    record = {"run_id": "e" * 32, "model_id": "m-x", "key": KEY, "parameters": PARAMETERS}
    history = repository / "history.csv"
    history.write_text(
        "epoch,step,lr,loss,coord,collisions,AP\n1,5,0.1,4,2,0,\n2,10,0.1,3,1,0,0.5\n"
    )
    first = evaluate(record, {"AP": 0.5}, history=history)
    second = evaluate(record, {"AP": 0.6}, history=history)
    store = open_store()
    (training,) = tracked.runs(store, "train")
    parents = [store.client.get_run(i).data.tags["mlflow.parentRunId"] for i in (first, second)]
    assert parents == [training.info.run_id] * 2
    assert training.data.tags["imported"] == "true"
    assert training.data.tags["imported.run_id"] == "e" * 32
    assert "git.commit" not in training.data.tags  # the importer's would be a guess
    assert tracked.curve(store, training.info.run_id, "train/loss_coord") == [(1, 2.0), (2, 1.0)]
    assert training.data.metrics["best/epoch"] == 2


def test_finished_training_of_the_same_key_stands_for_a_lost_one(repository: Path) -> None:
    record = train([2.0])
    found = resolve_training_run(CONFIG, {**record, "run_id": "e" * 32}, Path("no"), identity())
    assert found == (record["run_id"], record["model_id"])


def test_uncommitted_changes_are_kept(repository: Path) -> None:
    patch = "diff --git a/x b/x\n-caf\udce9\n"  # Latin-1 bytes, as git would print them
    with open_training_run(
        CONFIG, parameters={}, key=KEY, run_id=None, identity=identity(patch=patch)
    ) as run:
        pass
    store = open_store()
    assert store.client.get_run(run.run_id).data.tags["git.dirty"] == "true"
    stored = Path(store.client.download_artifacts(run.run_id, "identity/uncommitted.patch"))
    assert stored.read_bytes() == b"diff --git a/x b/x\n-caf\xe9\n"


def test_thousands_of_parameters_and_long_values(repository: Path) -> None:
    parameters = {"model": {f"p{i}": i for i in range(250)}, "names": ["x" * 9999]}
    with open_training_run(
        CONFIG, parameters=parameters, key=KEY, run_id=None, identity=identity()
    ) as run:
        pass
    params = open_store().client.get_run(run.run_id).data.params
    assert len(params) == 251
    assert len(params["names"]) == 6000
    assert params["names"].endswith("…")


def test_names_that_mlflow_accepts() -> None:
    metrics = {"AP/a(b": 1.0, "AP/a)b": 2.0, "AP/..": 3.0, "AP/猫": 4.0, "AP": None, "x": math.inf}
    assert layout.finite(metrics) == {
        "AP/a_b": 1.0,
        "AP/a_b_2": 2.0,
        "AP/_..": 3.0,
        "AP/猫": 4.0,
    }


def test_run_name_has_the_experiment() -> None:
    assert marks.run_name("train", KEY, replace(identity(), dvc_experiment="demo")) == (
        "train-demo-01234567"
    )


def test_store_is_in_the_main_repository(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(repository / "deep" / "er")
    assert tracking_uri() == f"sqlite:///{repository}/mlflow.db"
    monkeypatch.setenv("DVC_ROOT", "/main/repository")
    assert tracking_uri() == "sqlite:////main/repository/mlflow.db"
    assert artifact_location(tracking_uri()) == "file:///main/repository/mlartifacts"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///runs.db")
    assert tracking_uri() == "sqlite:////main/repository/runs.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert tracking_uri() == "http://tracking:5000"
    assert artifact_location(tracking_uri()) is None


def test_temporary_experiment_writes_to_the_main_store(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    train([1.0])
    copy = tmp_path_factory.mktemp("experiment")
    (copy / "dvc.yaml").touch()
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(repository))
    train([2.0])
    assert len(tracked.runs(open_store(), "train")) == 2
    assert {path.name for path in copy.iterdir()} == {"dvc.yaml", "run"}  # `run`: the tables


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        (
            "http://127.0.0.1:9",
            r"the MLflow server http://127.0.0.1:9 cannot be reached \(.*refused\): start it,"
            " correct MLFLOW_TRACKING_URI, or unset it to use mlflow.db in this repository",
        ),
        (
            "postgresql://me:secret@127.0.0.1:9/runs",
            r"the MLflow database postgresql://127.0.0.1:9 cannot be reached \(.*refused\): start",
        ),
        ("./mlruns", "is the folder './mlruns', which MLflow no longer writes to: name a database"),
        ("sqlite:///dvc.yaml", "dvc.yaml is not a database: move that file away"),
    ],
)
def test_unusable_store_is_said_at_once(
    repository: Path, monkeypatch: pytest.MonkeyPatch, uri: str, sentence: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    started = time.monotonic()
    with pytest.raises(TrackingError, match=sentence) as raised:
        connect(CONFIG.experiment)
    assert time.monotonic() - started < 10
    assert "secret" not in str(raised.value)


def test_older_schema_says_how_to_upgrade(repository: Path) -> None:
    with sqlite3.connect(repository / "mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    with pytest.raises(TrackingError, match=r"make a copy of it, then run `mlflow db upgrade sqli"):
        connect(CONFIG.experiment)


def test_deleted_experiment(repository: Path) -> None:
    store = open_store()
    store.client.delete_experiment(store.experiment_id)
    with pytest.raises(TrackingError, match="the experiment 'trial' in .* was deleted: restore it"):
        connect(CONFIG.experiment)


def test_many_processes_may_create_the_store_together(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").touch()
    with tracked.processes().Pool(4) as pool:
        experiments = pool.map(tracked.first_connect, [str(tmp_path)] * 4, chunksize=1)
    assert len(set(experiments)) == 1


@pytest.mark.slow
def test_many_processes_write_much_at_once_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").touch()
    with tracked.processes().Pool(8) as pool:
        runs = pool.map(tracked.train_much, [str(tmp_path)] * 8, chunksize=1)
    assert len(set(runs)) == 8
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        params = database.execute(
            "select run_uuid, count(*), count(distinct substr(value, 1, instr(value, ' ')))"
            " from params where key like 'many.%' group by run_uuid"
        ).fetchall()
        steps = database.execute(
            "select run_uuid, count(*), min(step), max(step) from metrics"
            " where key = 'step/loss' group by run_uuid"
        ).fetchall()
    database.close()
    assert sorted(params) == sorted((run, 3000, 1) for run in runs)
    assert sorted(steps) == sorted((run, 300, 1, 300) for run in runs)


def test_a_store_whose_making_was_cut_off_is_made_anew(repository: Path) -> None:
    (repository / "mlflow.db").unlink()
    left = repository / "mlflow.db.making"
    left.mkdir()
    with sqlite3.connect(left / "mlflow.db") as database:
        database.execute("CREATE TABLE experiments (experiment_id INTEGER)")
    train([1.0])
    assert not left.exists()


@pytest.mark.slow
def test_a_kill_while_the_store_is_made_leaves_none(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").touch()
    for pause in (0.2, 0.7, 1.2, 1.7):
        child = tracked.processes().Process(target=tracked.first_connect, args=(str(tmp_path),))
        child.start()
        for _ in range(3000):
            if (tmp_path / "mlflow.db.making").exists():
                break
            time.sleep(0.01)
        time.sleep(pause)
        child.kill()
        child.join()
        (tmp_path / "mlflow.db").unlink(missing_ok=True)  # made before the kill
    with tracked.processes().Pool(1) as pool:
        assert pool.map(tracked.first_connect, [str(tmp_path)])


def test_a_history_before_the_first_validation_has_no_best(tmp_path: Path) -> None:
    history = tmp_path / "history.csv"
    history.write_text("epoch,step,lr,loss\n1,10,0.1,5.0\n2,20,0.1,4.0\n")
    rows = dict(layout.history_metrics(history))
    assert rows[2] == {"train/lr": 0.1, "train/loss": 4.0}
