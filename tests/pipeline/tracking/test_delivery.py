"""Figures on their way to MLflow: each row once, whatever fails and whenever."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException

from pipeline.running.recorder import add_notice
from pipeline.tracking.address import TrackingError
from pipeline.tracking.delivery import LONGEST_PAUSE, Delivery
from pipeline.tracking.runs import open_training_run
from pipeline.tracking.store import METRICS_A_CALL, AnsweringClient, Store
from pipeline.tracking.training import TrainingRun
from tests.pipeline import tracked
from tests.pipeline.servers import free_port, start_tracking, stop
from tests.pipeline.small_training import make_workspace, start_stage, stored_figures, stored_runs
from tests.pipeline.tracked import CONFIG, KEY, PARAMETERS, identity, leave_tables
from yolov2.termination import Terminated


@dataclass
class Client:
    """What MLflow does with the calls of a training; ``before`` and ``after`` may make it fail."""

    stored: set[tuple[str, int, int, float]] = field(default_factory=set)
    tags: dict[str, str] = field(default_factory=dict)
    files: list[tuple[str, str | None]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None

    def log_batch(self, run_id: str, metrics: Sequence[Metric] = (), tags: Any = ()) -> None:
        self.calls.append("log_batch")
        assert len(metrics) <= METRICS_A_CALL
        self.before()
        # the primary key of MLflow's table: a figure that is sent again adds nothing
        self.stored |= {(m.key, m.step, m.timestamp, m.value) for m in metrics}
        self.tags |= {tag.key: tag.value for tag in tags}
        self.after()

    def get_metric_history(self, run_id: str, key: str) -> list[Metric]:
        self.calls.append("get_metric_history")
        self.before()
        return [Metric(k, v, at, step) for k, step, at, v in self.stored if k == key]

    def log_artifact(self, run_id: str, file: str, folder: str | None) -> None:
        self.before()
        self.files.append((Path(file).name, folder))

    def steps(self, curve: str) -> list[int]:
        return sorted(step for name, step, _, _ in self.stored if name == curve)


def fails(times: int, error: BaseException) -> Callable[[], None]:
    """Raises ``error`` as often, then nothing."""
    left = repeat(error, times)

    def step() -> None:
        for each in left:
            raise each

    return step


AWAY = MlflowException("API request to http://x failed")


@pytest.fixture
def client() -> Client:
    return Client()


def new_run(client: Client) -> TrainingRun:
    uri = "sqlite:///x.db"
    answering = AnsweringClient(client, uri)  # type: ignore[arg-type]
    store = Store(client=answering, uri=uri, experiment_id="1")  # type: ignore[arg-type]
    return TrainingRun(store=store, run_id="r", model_id="m")


def new_delivery(client: Client, folder: Path) -> Delivery:
    return Delivery(new_run(client), folder, pause=0.0, wait=lambda seconds: None)


def test_a_row_is_sent_once(client: Client, tmp_path: Path) -> None:
    delivery = new_delivery(client, leave_tables(tmp_path, [4.0]))
    delivery.send()
    asked = client.calls.count("get_metric_history")
    assert asked == 3  # once for each table, then it is known
    delivery.send()
    leave_tables(tmp_path, [4.0, 3.0, 2.0])
    delivery.send()
    assert client.calls[asked:] == ["log_batch", "log_batch"]
    assert client.steps("train/loss") == [1, 2, 3]
    assert client.steps("train/images_per_second") == [1, 2, 3]
    assert client.steps("step/loss") == [1, 2, 3, 4, 5, 6]
    assert client.steps("best/epoch") == [1, 2, 3]


def test_another_process_goes_on_where_the_first_was_cut_off(
    client: Client, tmp_path: Path
) -> None:
    new_delivery(client, leave_tables(tmp_path, [4.0])).send()
    new_delivery(client, leave_tables(tmp_path, [4.0, 3.0])).send()
    new_delivery(client, tmp_path).finish()
    assert client.steps("train/loss") == [1, 2]
    assert client.steps("step/loss") == [1, 2, 3, 4]


@pytest.mark.parametrize("calls", range(1, 4))
@pytest.mark.parametrize("arrives", [False, True])
@pytest.mark.parametrize("error", [AWAY, Terminated()])
def test_cut_off_between_or_in_calls_no_row_is_lost_or_doubled(
    client: Client, tmp_path: Path, calls: int, arrives: bool, error: BaseException
) -> None:
    # 220 steps of 6 figures and 110 epochs of 13 take several calls
    losses = [float(n) for n in range(110)]
    delivery = new_delivery(client, leave_tables(tmp_path, losses))
    count = 0

    def cut() -> None:
        nonlocal count
        count += client.calls[-1] == "log_batch"
        if count == calls:
            count += 1
            raise error

    client.before, client.after = ((lambda: None), cut) if arrives else (cut, (lambda: None))
    try:
        delivery.send()
    except Terminated:
        delivery = new_delivery(client, tmp_path)
    assert client.calls.count("log_batch") == calls
    whole = client.steps("train/loss")
    assert client.steps("train/lr") == client.steps("train/collisions") == whole  # whole rows
    time.sleep(0.002)  # a later call would have another time stamp
    delivery.send()
    assert client.steps("train/loss") == list(range(1, 111))
    assert client.steps("train/seconds") == list(range(1, 111))
    assert client.steps("step/loss") == list(range(1, 221))


def test_a_call_that_was_taken_for_lost_and_arrives_late_adds_nothing(
    client: Client, tmp_path: Path
) -> None:
    delivery = new_delivery(client, leave_tables(tmp_path, [4.0]))
    late: list[set[Any]] = []

    def keep_back() -> None:
        late.append(set(client.stored))
        client.stored.clear()
        client.after = lambda: None
        raise AWAY

    client.after = keep_back
    delivery.send()
    assert client.steps("train/loss") == []
    time.sleep(0.002)
    delivery.send()
    client.stored |= late[0]
    assert client.steps("train/loss") == [1]
    assert client.steps("step/loss") == [1, 2]


def test_training_goes_on_and_is_told_once(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    delivery = new_delivery(client, leave_tables(tmp_path, [4.0]))
    delivery.enclose(tmp_path / "history.csv", tmp_path / "not there")
    client.before = fails(3, AWAY)
    for _ in range(3):
        delivery.send()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "the MLflow store sqlite:///x.db cannot be used (API request to http://x fai" in said
    assert f"; training goes on, figures wait in {tmp_path}" in said
    delivery.send()
    delivery.send()
    assert capsys.readouterr().err == "the tracking store answers again: all figures are sent\n"
    assert client.steps("train/loss") == [1]
    assert client.files == [("history.csv", "training")]


def test_the_pauses_double_and_end(client: Client, tmp_path: Path) -> None:
    delivery = Delivery(new_run(client), leave_tables(tmp_path, [4.0]), pause=15.0)
    client.before = fails(99, AWAY)
    pauses = []
    for failures in (*range(8), 5000):  # at ten minutes each, a month
        delivery.failures, delivery.not_before = failures, 0.0
        delivery.send()
        pauses.append(round(delivery.not_before - time.monotonic()))
    assert pauses == [15, 30, 60, 120, 240, 480, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    calls = len(client.calls)
    delivery.send()  # within the pause nothing is tried
    assert len(client.calls) == calls


def test_at_the_end_it_is_patient_and_then_says_what_to_do(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    waited: list[float] = []
    delivery = Delivery(new_run(client), leave_tables(tmp_path, [4.0]), wait=waited.append)
    client.before = fails(4, AWAY)
    delivery.finish()
    assert waited == [15, 30, 60, 120]
    assert client.steps("train/loss") == [1]
    assert "; trying again for some minutes, figures wait" in capsys.readouterr().err
    client.before = fails(5, AWAY)
    leave_tables(tmp_path, [4.0, 2.0])
    expected = (
        rf"^the training is kept in {tmp_path}, but its figures could not be sent: the MLflow store"
        r" .*mlflow.db in this repository. When the store answers, `pipeline track send` sends"
        r" them, and so does the stage, which will not train again$"
    )
    with pytest.raises(TrackingError, match=expected):
        delivery.finish()


def test_notices_become_the_description(client: Client, tmp_path: Path) -> None:
    delivery = new_delivery(client, tmp_path)
    delivery.send()
    assert client.tags == {}
    add_notice(tmp_path, "step 3: halved")
    add_notice(tmp_path, "step 9: rolled back")
    add_notice(tmp_path, "step 3: halved")  # by a process that repeats the step
    delivery.send()
    told = "step 3: halved\n\nstep 9: rolled back\n\n"
    assert client.tags == {"mlflow.note.content": told}
    client.tags["mlflow.note.content"] = "what a person has written"
    delivery.send()
    assert client.tags == {"mlflow.note.content": "what a person has written"}
    again = new_delivery(client, tmp_path)
    add_notice(tmp_path, "step 11: " + "x" * 9000)
    again.finish()
    description = client.tags["mlflow.note.content"]
    assert len(description) == 8000  # what MLflow takes
    assert description.startswith("…xxx")
    assert description.endswith("xxx\n\n")


def test_mlflow_stores_a_figure_once_and_a_long_description(repository: Path) -> None:
    with open_training_run(CONFIG, parameters=PARAMETERS, key=KEY, identity=identity()) as run:
        rows = [(1, {"train/loss": 2.0, "train/lr": 0.1}, 1_700_000_000_000)]
        run.store.log_metrics(run.run_id, rows)
        run.store.log_metrics(run.run_id, [*rows, (2, {"train/loss": 1.0}, 1_700_000_000_001)])
        run.set_description("x" * 9000)
    figures = stored_figures(repository / "mlflow.db", run.run_id)
    assert figures == [("train/loss", 1, 2.0), ("train/loss", 2, 1.0), ("train/lr", 1, 0.1)]
    tags = run.store.client.get_run(run.run_id).data.tags
    assert len(tags["mlflow.note.content"]) == 8000


@pytest.fixture
def away(
    empty_store: Path,
    tmp_path_factory: pytest.TempPathFactory,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator["Server"]:
    """A server that can be taken away, to which the current folder's runs go."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "server.db").write_bytes(empty_store.read_bytes())
    server = Server(folder, free_port())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.port}")
    server.start()
    yield server
    server.kill()


class Server:
    """An MLflow server that is killed and started again."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = start_tracking(self.folder, self.port)

    def kill(self) -> None:
        if self.process is not None:
            stop(self.process, signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, number)


@pytest.mark.services
def test_a_server_that_comes_and_goes(
    away: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    with open_training_run(CONFIG, parameters=PARAMETERS, key=KEY, identity=identity()) as run:
        delivery = Delivery(run, leave_tables(folder, [4.0]), pause=0.0, wait=lambda s: None)
        delivery.send()
        away.kill()
        leave_tables(folder, [4.0, 3.0])
        delivery.enclose(folder / "history.csv")
        started = time.monotonic()
        delivery.send()
        delivery.send()
        assert time.monotonic() - started < 2  # not MLflow's own patience
        said = capsys.readouterr().err
        assert said.count("training goes on") == 1
        assert "refused" in said
        with pytest.raises(TrackingError, match="but its figures could not be sent: the MLflow se"):
            delivery.finish()
        away.start()
        leave_tables(folder, [4.0, 3.0, 2.0])
        delivery.send()
        assert "answers again: all figures are sent" in capsys.readouterr().err
        away.signal(signal.SIGSTOP)  # it takes connections and says nothing
        leave_tables(folder, [4.0, 3.0, 2.0, 1.0])
        started = time.monotonic()
        delivery.send()
        assert time.monotonic() - started < 10
        assert "timed out" in capsys.readouterr().err
        away.signal(signal.SIGCONT)
        delivery.finish()
    (status,) = stored_runs(away.folder / "server.db").values()
    assert status == "FINISHED"
    figures = stored_figures(away.folder / "server.db", run.run_id)
    losses = [(step, value) for name, step, value in figures if name == "train/loss"]
    assert losses == [(1, 4.0), (2, 3.0), (3, 2.0), (4, 1.0)]
    assert [step for name, step, _ in figures if name == "step/loss"] == list(range(1, 9))
    assert tracked.files(run.store, run.run_id, "training") == {"training/history.csv"}


@pytest.mark.services
def test_the_stage_trains_on_without_its_server(away: Server, repository: Path) -> None:
    settings = {"train.log_every": 5, "train.checkpoint.every_steps": 5}
    make_workspace(repository, settings, images=80)
    with start_stage(repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as stage:
        assert stage.stdout is not None
        for line in stage.stdout:
            if line.startswith("epoch 1/3"):
                away.kill()
            if line.startswith("epoch 3/3"):
                away.start()
        assert stage.stderr is not None
        errors = stage.stderr.read()
    assert stage.returncode == 0, errors
    said = errors.splitlines()
    assert len(said) == 2
    assert "; training goes on, figures wait in " in said[0]
    assert said[1] == "the tracking store answers again: all figures are sent"
    ((run_id, status),) = stored_runs(away.folder / "server.db").items()
    assert status == "FINISHED"
    figures = stored_figures(away.folder / "server.db", run_id)
    assert [step for name, step, _ in figures if name == "train/loss"] == [1, 2, 3]
    assert [step for name, step, _ in figures if name == "step/loss"] == list(range(5, 61, 5))
