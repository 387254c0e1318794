"""A model's whole life by README's commands: train, compare, promote, serve, roll back."""

import base64
import json
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.pipeline import servers
from tests.pipeline.project import copy_project, run, write_params

SMALL = {
    "digits.train_scenes": 1500,
    "digits.val_scenes": 100,
    "digits.test_scenes": 200,
    "train.epochs": 1,
    "train.validate_every": 2,
    "evaluate.resamples": 100,
    "evaluate.pictures": 0,
    "export.formats": ("onnx",),
    "promote.min_ap": 0.0,
    "promote.min_ap50": 0.0,
    "promote.max_latency_ratio": 3.0,  # the same network on a busy machine
}
BETTER = SMALL | {"train.epochs": 5}


def train(project: Path) -> str:
    """What the registration of the finished pipeline says."""
    run(project, "dvc", "--wait-for-lock", "repro", "--quiet")
    return run(project, "pipeline", "register")


@pytest.mark.slow
@pytest.mark.services
def test_train_compare_promote_refuse_serve_roll_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    project = copy_project(tmp_path / "project", SMALL)
    assert "registered version 1" in train(project)
    assert "promoted as the first" in run(project, "pipeline", "promote")

    write_params(project, BETTER)
    assert "registered version 2" in train(project)
    compared = run(project, "pipeline", "compare", "@champion", "@challenger")
    assert "version 2 against version 1: B is better; test AP" in compared
    assert "version 2 of yolov2 promoted against version 1" in run(project, "pipeline", "promote")

    # the first again, which is worse; then the champion's own weights in another graph
    worse = run(project, "pipeline", "promote", "--version", "1", status=3)
    assert "version 1 of yolov2 refused against version 2: " in worse
    assert "the champion is better" in worse
    write_params(project, BETTER | {"export.nms_threshold": 0.4})
    assert "registered version 3" in train(project)
    assert "refused against version 2: AP difference" in run(
        project, "pipeline", "promote", status=3
    )

    image = next((project / "data" / "digits" / "images" / "test").iterdir())
    served = serve(project, image)
    detected = detect(project, image, tmp_path / "found")
    assert len(served) == len(detected) > 0
    for ours, theirs in zip(served, detected, strict=True):
        assert ours["class_name"] == theirs["class_name"]
        assert ours["score"] == pytest.approx(theirs["score"], abs=1e-4)
        edges = [theirs[edge] for edge in ("x1", "y1", "x2", "y2")]
        assert ours["box"] == pytest.approx(edges, abs=0.05)

    back = run(project, "pipeline", "rollback", "--reason", "a trial")
    assert back == ("version 1 of yolov2 is the champion again, version 2 is previous: a trial\n")


def serve(project: Path, image: Path) -> list[dict[str, object]]:
    """What the served champion finds in an image."""
    port = servers.free_port()
    serving = ("-m", "models:/yolov2@champion", "--env-manager", "local")
    server = servers.start("models", "serve", *serving, ready="ping", cwd=project, port=port)
    try:
        text = base64.b64encode(image.read_bytes()).decode()
        body = json.dumps({"dataframe_records": [{"image": text}]}).encode()
        address = f"http://127.0.0.1:{port}/invocations"
        request = Request(address, body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=60) as answer:
            (row,) = json.load(answer)["predictions"]
    finally:
        servers.stop(server)
    return list(json.loads(row["detections"]))


def detect(project: Path, image: Path, folder: Path) -> list[dict[str, object]]:
    """What ``yolov2 detect`` finds with the champion, by descending score."""
    import pandas as pd

    source = ["--source", str(image), "--output-dir", str(folder), "--save", "parquet"]
    run(project, "yolov2.cli", "detect", "--weights", "models:/yolov2@champion", *source)
    (table,) = folder.rglob("*.parquet")
    found = pd.read_parquet(table).sort_values("score", ascending=False)
    return [dict(row) for row in found.to_dict("records")]
