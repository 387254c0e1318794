"""The whole way over a real MLflow server."""

import base64
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from pipeline import paths
from pipeline.params.schema import Params
from pipeline.promotion.promote import promote
from pipeline.registry.models import CHALLENGER, CHAMPION, Registry
from pipeline.registry.register import register
from pipeline.tracking.address import TrackingError
from pipeline.tracking.connection import connect
from tests.pipeline import tracked
from tests.pipeline.servers import free_port, start, start_tracking, stop
from tests.pipeline.tracked import CONFIG, open_store, png

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def server(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "server.db").write_bytes(empty_store.read_bytes())
    port = free_port()
    process = start_tracking(folder, port)
    yield f"http://127.0.0.1:{port}"
    stop(process)


@pytest.fixture
def remote(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose runs go to the server."""
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_train_evaluate_register_promote_serve(
    remote: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    connect(CONFIG.experiment)
    tracked.leave_result(remote)
    assert register(CONFIG).sentence.startswith(
        "registered version 1 of trial-model: test AP 0.500"
    )
    assert register(CONFIG).sentence.startswith("version 1 of trial-model exists")
    assert promote(replace(Params(), tracking=CONFIG)).status == 0
    assert capfd.readouterr().out.count("\n") == 2  # its decision and its page, no links
    assert Registry(CONFIG).aliases() == {CHALLENGER: 1, CHAMPION: 1}
    store = open_store()
    (training,) = tracked.runs(store, "train")
    assert training.info.status == "FINISHED"
    assert tracked.curve(store, training.info.run_id, "train/loss") == [(1, 2.0)]
    assert "identity/identity.json" in tracked.files(store, training.info.run_id)
    assert not (remote / "mlflow.db").exists()
    assert not (remote / "mlartifacts").exists()
    _serve(remote)


def _serve(folder: Path) -> None:
    """The champion answers over HTTP: detections, or 400 with a sentence."""
    port = free_port()
    command = ("models", "serve", "-m", "models:/trial-model@champion", "--env-manager", "local")
    process = start(*command, ready="ping", cwd=folder, port=port)
    try:
        images = [base64.b64encode(png(red)).decode() for red in (255, 0)]
        answer = _invoke(port, {"dataframe_records": [{"image": image} for image in images]})
        assert [row["image_width"] for row in answer["predictions"]] == [128, 128]
        found = [json.loads(row["detections"]) for row in answer["predictions"]]
        assert [[item["class_name"] for item in each] for each in found] == [["cat", "dog"], []]
        lower = {"params": {"conf_threshold": 0.3}, "inputs": {"image": images[:1]}}
        (row,) = _invoke(port, lower)["predictions"]
        assert len(json.loads(row["detections"])) == 3
        with pytest.raises(HTTPError) as refused:
            _invoke(port, {"dataframe_records": [{"image": "/etc/passwd"}]})
        assert refused.value.code == 400
        assert "row 0: image is not valid base64" in json.load(refused.value)["message"]
    finally:
        stop(process)


def _invoke(port: int, body: object) -> dict[str, list[dict[str, object]]]:
    address = f"http://127.0.0.1:{port}/invocations"
    headers = {"Content-Type": "application/json"}
    with urlopen(Request(address, json.dumps(body).encode(), headers), timeout=60) as answer:
        return dict(json.load(answer))


def test_result_made_with_sqlite_is_registered_on_the_server(
    remote: Path, monkeypatch: pytest.MonkeyPatch, server: str, empty_store: Path
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (remote / "mlflow.db").write_bytes(empty_store.read_bytes())
    tracked.leave_result(remote, scale=0.8)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    assert register(CONFIG).sentence.startswith("registered version")
    result = tracked.sha256(remote / paths.METRICS)
    known = {"stage": "evaluate", "result": result, "imported": "true"}
    imported = open_store().find_finished(known)
    assert imported is not None
    assert imported.data.metrics["test/AP"] == 0.5


def test_something_else_than_mlflow(remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    process = subprocess.Popen(
        command, cwd=remote, stderr=subprocess.DEVNULL, start_new_session=True
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        with pytest.raises(TrackingError, match=r"answers 404 \(.*\) to /health: is it the MLflow"):
            connect(CONFIG.experiment)
    finally:
        stop(process)
