"""The champion served as ``make serve`` does it."""

import base64
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image

from pipeline import paths
from pipeline.params.presets import DEMO, render
from pipeline.registry.models import CHAMPION, Registry
from pipeline.registry.package import SERVED_PACKAGES, unfit
from pipeline.serving import server as serve
from pipeline.tracking.runs import open_training_run
from tests.pipeline.servers import free_port, start_module, stop
from tests.pipeline.tracked import CONFIG, KEY, PARAMETERS, identity, write_graph
from tests.yolov2.trainer import changed
from yolov2.data.images.reading import NO_FORMAT

ROOT = Path(__file__).resolve().parents[3]
MIB = 2**20


def test_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="^no version of trial-model is the champion: run `make"):
        serve.champion(CONFIG)
    assert list(tmp_path.iterdir()) == []


def test_no_champion(repository: Path) -> None:
    with pytest.raises(ValueError, match="^no version of trial-model is the champion: run `make"):
        serve.champion(CONFIG)


def test_port_in_use() -> None:
    with (
        serve.listen(0) as taken,
        pytest.raises(
            ValueError, match=r"cannot be used \(Address already in use\): choose another"
        ),
    ):
        serve.listen(taken.getsockname()[1])
    assert taken.proto == socket.IPPROTO_TCP  # else each answer waits 40 ms


def register_champion(root: Path, graph: Path) -> None:
    with open_training_run(
        CONFIG, parameters=PARAMETERS, key=KEY, run_id=None, identity=identity()
    ) as run:
        pass
    registry = Registry(CONFIG)
    made = registry.register(run.model_id, run.run_id, {"onnx": graph}, description="", tags={})
    registry.set_alias(CHAMPION, made.number)


def test_environment_that_does_not_fit(repository: Path) -> None:
    write_graph(repository / "model.onnx")
    register_champion(repository, repository / "model.onnx")
    folder, name = serve.champion(CONFIG)
    assert name == "version 1 of trial-model"
    assert unfit(folder) == ([], [])
    lines = [f"{package}==99.1" for package in SERVED_PACKAGES[1:]]
    (folder / "requirements.txt").write_text("\n".join([*lines, "no-such-package==1.0"]))
    with pytest.raises(ValueError, match=r"^this Python does not fit version 1 .* instead of 99.1"):
        serve.champion(CONFIG)
    assert unfit(folder)[0][-1] == "no-such-package is missing, 1.0 is wanted"
    (folder / "MLmodel").unlink()
    with pytest.raises(ValueError, match="does not hold the model that the store says"):
        serve.champion(CONFIG)


@pytest.fixture(scope="module")
def workspace(
    tmp_path_factory: pytest.TempPathFactory, empty_store: Path, pyfunc: ModuleType
) -> Path:
    """A repository whose champion is a network with random weights, and images to find in."""
    root = tmp_path_factory.mktemp("champion")
    (root / "dvc.yaml").write_text("stages: {}\n")
    (root / "mlflow.db").write_bytes(empty_store.read_bytes())
    tracking = {"tracking.model_name": CONFIG.model_name, "tracking.experiment": CONFIG.experiment}
    (root / paths.PARAMS).write_text(render("demo", changed(DEMO, tracking)))
    rng = np.random.default_rng(0)
    (root / "images").mkdir()
    for number in range(32):
        height, width = rng.integers(30, 150, 2)
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{number:02}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        register_champion(root, export(root))
    return root


def export(root: Path) -> Path:
    """A small network with random weights as ``model.onnx``."""
    import torch

    from yolov2.export.formats import FORMATS
    from yolov2.export.source import Source
    from yolov2.network.yolov2 import YOLOv2
    from yolov2.runtime.manifest import Manifest

    torch.manual_seed(0)
    anchors = ((1.0, 1.0), (0.5, 2.0))
    network = YOLOv2(3, anchors, width=0.05).eval()
    manifest = Manifest(
        class_names=("cat", "dog", "owl"),
        anchors=anchors,
        image_size=96,
        conf_threshold=0.5,
        nms_threshold=0.5,
    )
    kind, path = FORMATS["onnx"], root / "model.onnx"
    source = Source(network=network, manifest=manifest, calibration=lambda: iter([]))
    kind.write(source, kind.manifest(manifest), path)
    return path


@pytest.fixture(scope="module")
def server(workspace: Path) -> Iterator[tuple[int, psutil.Process]]:
    port = free_port()
    command = ("pipeline", "serve", "--port", str(port))
    process = start_module(*command, ready=f"http://127.0.0.1:{port}/ping", cwd=workspace)
    yield port, psutil.Process(process.pid)
    stop(process)


def post(port: int, body: bytes, kind: str = "application/json") -> tuple[int, Any]:
    address = f"http://127.0.0.1:{port}/invocations"
    try:
        with urlopen(Request(address, body, {"Content-Type": kind}), timeout=100) as answer:
            return 200, json.load(answer)["predictions"]
    except HTTPError as error:
        return error.code, json.load(error)["message"]


def records(*images: bytes | str, **params: float) -> bytes:
    texts = [each if isinstance(each, str) else base64.b64encode(each).decode() for each in images]
    return json.dumps(
        {"dataframe_records": [{"image": each} for each in texts], "params": params}
    ).encode()


def bomb(side: int) -> bytes:
    """A black PNG of ``side`` x ``side`` pixels in a thousandth of its size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    pack, row = zlib.compressobj(9), bytes(1 + 3 * side)
    data = b"".join(pack.compress(row) for _ in range(side)) + pack.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.services
def test_served_detections_are_those_of_detect(
    server: tuple[int, psutil.Process], workspace: Path
) -> None:
    options = ["--weights", "models:/trial-model@champion", "--source", "images"]
    options += ["--save", "parquet", "--output-dir", "found"]
    options += ["--conf-threshold", "0", "--nms-threshold", "0.45", "--max-detections", "20"]
    done = subprocess.run(
        [sys.executable, "-m", "yolov2", "detect", *options],
        cwd=workspace,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    table = pd.read_parquet(workspace / "found" / "detections.parquet")
    images = sorted((workspace / "images").iterdir())
    params = {"conf_threshold": 0, "nms_threshold": 0.45, "max_detections": 20}
    status, batch = post(server[0], records(*(each.read_bytes() for each in images), **params))
    assert (status, len(batch)) == (200, 32)
    assert post(server[0], records(images[4].read_bytes(), **params)) == (200, [batch[4]])
    assert len(table) > 32
    for path, row in zip(images, batch, strict=True):
        wanted = table[table["image"].map(lambda name: Path(name).name) == path.name]
        found = json.loads(row["detections"])
        assert [each["class_id"] for each in found] == wanted["class_id"].tolist()
        np.testing.assert_allclose([each["score"] for each in found], wanted["score"], atol=1e-5)
        boxes = np.array([each["box"] for each in found]).reshape(-1, 4)
        np.testing.assert_allclose(boxes, wanted[["x1", "y1", "x2", "y2"]], atol=0.02)


@pytest.mark.services
def test_what_cannot_be_answered(server: tuple[int, psutil.Process], workspace: Path) -> None:
    port, process = server
    image = (workspace / "images" / "00.png").read_bytes()
    assert post(port, records(image))[0] == 200
    before = process.memory_info().rss
    for body, status, text in [
        (records("not base64!"), 400, "row 0: image is not valid base64"),
        (records(image, b"hello"), 400, f"row 1: image: {NO_FORMAT}"),
        (records(b""), 400, "row 0: image: empty (0 bytes)"),
        (records("images/00.png"), 400, "row 0: image is not valid base64"),
        (records("http://127.0.0.1:9/cat.png"), 400, "row 0: image is not valid base64"),
        (records(bomb(20_000)), 400, "row 0: image: cannot be decoded (Image size (400000000"),
        (records("A" * 50_000_000), 413, "the body is larger than 32 MiB: send fewer or smaller"),
        (records(image, conf_threshold=7), 400, "parameters: conf_threshold must be between 0"),
        (b'{"inputs": {"image": [[[1, 2, 3]]]}}', 400, "row 0: image must be base64 text, not a"),
    ]:
        found = post(port, body)
        assert found[0] == status
        assert found[1].startswith(text)
    assert process.memory_info().rss - before < 150 * MIB
    assert post(port, image, "image/png")[0] == 415
    # one text of 20 MB would make MLflow's reading of `inputs` take 20 GB
    uneven = {"inputs": {"image": ["A" * 20_000_000] + ["QQ=="] * 255}}
    assert post(port, json.dumps(uneven).encode())[0] == 400
    assert process.memory_info().rss - before < 500 * MIB
    assert post(port, records(image))[0] == 200


@pytest.mark.services
def test_connections_that_send_nothing_do_not_lock_the_server_out(
    server: tuple[int, psutil.Process], workspace: Path
) -> None:
    image = (workspace / "images" / "00.png").read_bytes()
    with ExitStack() as stack:
        started = time.monotonic()
        idle = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server[0]), timeout=60))
            for _ in range(100)
        ]
        assert post(server[0], records(image))[0] == 200
        assert time.monotonic() - started < 9, "before any of them is late"
        for one in idle:
            with suppress(ConnectionResetError):
                assert one.recv(1) == b""
        assert 9 < time.monotonic() - started < 30


@pytest.mark.services
def test_example_client(server: tuple[int, psutil.Process], workspace: Path) -> None:
    command = [sys.executable, str(ROOT / "examples" / "client.py"), "--url"]
    command += [f"http://127.0.0.1:{server[0]}/invocations", "--conf", "0"]
    done = subprocess.run(
        [*command, "images/00.png", "images/01.png"],
        cwd=workspace,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    names = [line.split()[:2] for line in done.stdout.splitlines()]
    assert {name[0] for name in names} == {"images/00.png", "images/01.png"}
    assert {name[1] for name in names} <= {"cat", "dog", "owl"}
    refused = subprocess.run(
        [*command, "params.yaml"], cwd=workspace, capture_output=True, text=True, timeout=60
    )
    assert refused.stderr == f"400: row 0: image: {NO_FORMAT}\n"
    assert refused.returncode == 1


@pytest.mark.services
@pytest.mark.parametrize(("by", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_ends_when_told(workspace: Path, by: signal.Signals, status: int) -> None:
    port = free_port()
    command = ("pipeline", "serve", "--port", str(port))
    process = start_module(*command, ready=f"http://127.0.0.1:{port}/ping", cwd=workspace)
    stop(process, by)
    assert process.returncode == status
