"""How many requests a second `make serve` answers: ``python -m benchmarks.serving``.

A small network with random weights behind the real server on loopback, one JPEG a request, asked
by one client and by several at once, each over a connection of its own that it keeps; and one
client with 32 images a request. Some seconds each. Clients and server share the processor.
"""

import argparse
import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

from pipeline.registry.package import save_served_model
from pipeline.serving.app import ENDPOINT
from yolov2.config.model import DEFAULT_ANCHORS
from yolov2.export.formats import FORMATS
from yolov2.export.source import Source
from yolov2.network.yolov2 import YOLOv2
from yolov2.runtime.manifest import Manifest

ROOT = Path(__file__).resolve().parents[1]
SERVE = """
import sys
from pathlib import Path
from pipeline.serving.server import Limits, listen, serve
with listen(0) as listening:
    print(listening.getsockname()[1], flush=True)
    serve(Path(sys.argv[1]), listening, Limits())
"""


def main() -> None:
    """Print a line for each number of clients."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="for each line")
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--width", type=float, default=0.25)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        model = write_model(Path(folder), options.side, options.width)
        with served(model) as port:
            print(f"width {options.width:g}, one image at {options.side}, {os.cpu_count()} cores")
            print(
                f"{'':26}{'requests/s':>11}{'images/s':>10}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}"
            )
            for clients, images in ((1, 1), (4, 1), (1, 32)):
                took = ask(port, clients, images, options.seconds)
                show(f"{clients} clients, {images} images", took, images, options.seconds)


def write_model(folder: Path, side: int, width: float) -> Path:
    """A network of 10 classes with random weights, as it is registered."""
    torch.manual_seed(0)
    network = YOLOv2(10, DEFAULT_ANCHORS, width=width).eval()
    manifest = Manifest(
        class_names=tuple("0123456789"),
        anchors=DEFAULT_ANCHORS,
        image_size=side,
        conf_threshold=0.5,
        nms_threshold=0.5,
    )
    kind, graph = FORMATS["onnx"], folder / "model.onnx"
    source = Source(network=network, manifest=manifest, calibration=lambda: iter([]))
    kind.write(source, kind.manifest(manifest), graph)
    save_served_model(folder / "model", {"onnx": graph})
    return folder / "model"


@contextmanager
def served(model: Path) -> Iterator[int]:
    """The port of a server, which ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(model)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        post(HTTPConnection("127.0.0.1", port, timeout=120), request(1, 0))  # waits for the start
        yield port
    finally:
        process.terminate()
        process.wait(30)


def request(images: int, seed: int) -> bytes:
    """So many JPEGs of 320 x 240 pixels of noise, a different one for each ``seed``."""
    small = np.random.default_rng(seed).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(small).resize((320, 240)).save(file, "JPEG")
    text = base64.b64encode(file.getvalue()).decode()
    return json.dumps({"dataframe_records": [{"image": text}] * images}).encode()


def post(connection: HTTPConnection, body: bytes) -> None:
    """Ask once.

    Raises:
        ValueError: the answer is not a 200.
    """
    connection.request("POST", ENDPOINT, body, {"Content-Type": "application/json"})
    with connection.getresponse() as answer:
        content = answer.read()
        if answer.status != 200:
            raise ValueError(f"the server answers {answer.status}: {content.decode()}")


def ask(port: int, clients: int, images: int, seconds: float) -> list[float]:
    """Seconds of every request that so many clients at once had answered in the time."""
    took: list[float] = []
    end = time.perf_counter() + seconds

    def client(number: int) -> None:
        connection, body = HTTPConnection("127.0.0.1", port, timeout=60), request(images, number)
        while (started := time.perf_counter()) < end:
            post(connection, body)
            took.append(time.perf_counter() - started)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def show(name: str, took: list[float], images: int, seconds: float) -> None:
    """Print one line of the table."""
    rate = len(took) / seconds
    shares = 1e3 * np.percentile(took, [50, 95, 99])
    times = "".join(f"{share:9.1f}" for share in shares)
    print(f"{name:26}{rate:11.1f}{rate * images:10.1f}{times}")


if __name__ == "__main__":
    main()
