"""What MLflow costs a training: ``python -m benchmarks.tracking [--server]``.

The real stage trains a network of the demo's size on squares, with the demo's checkpoints and
logging, into a fresh sqlite store or a server on loopback. Another process tells MLflow, the
recorder; so timed is every call in which the stage waits for it, or has to do with it, and how much
processor time it takes beside the training. Then one delivery late in a long training, whose
tables have many rows.
"""

import argparse
import os
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from pipeline import train
from pipeline.params.tracking import TrackingConfig
from pipeline.running.entry import TELEMETRY_OFF
from pipeline.running.recorder import Recorder, store_checked
from pipeline.tracking.delivery import Delivery
from pipeline.tracking.runs import open_training_run
from tests.pipeline.servers import free_port, start_tracking, stop
from tests.pipeline.small_training import make_workspace
from tests.pipeline.tracked import KEY, identity, leave_tables

DEMO_SIZE = {
    "model.image_size": 128,
    "model.width": 0.25,
    "train.batch_size": 16,
    "train.validate_every": 4,
    "machine.num_workers": 1,
}
EPOCHS, ROWS = 160, 20_000
"""Epochs of the long training, and the rows of steps in its tables."""


def main() -> None:
    """Print a table of seconds and shares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", action="store_true", help="a server instead of sqlite")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--images", type=int, default=320)
    options = parser.parse_args()
    os.environ.update(TELEMETRY_OFF)
    with TemporaryDirectory() as folder:
        root = Path(folder)
        settings = DEMO_SIZE | {"train.epochs": options.epochs}
        make_workspace(root, settings, images=options.images)
        os.chdir(root)
        with server(root) if options.server else nullcontext():
            whole(f"{options.epochs} epochs of {options.images} images")
            late(root / "late")


@contextmanager
def server(root: Path) -> Iterator[None]:
    """A server on loopback, which the environment names."""
    port = free_port()
    process = start_tracking(root, port)
    os.environ["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{port}"
    try:
        yield
    finally:
        stop(process)


def whole(title: str) -> None:
    """The stage from beginning to end."""
    spent: dict[str, list[float]] = defaultdict(list)
    recorder = 0.0

    def finish(self: Recorder, *given: Any, **named: Any) -> None:
        nonlocal recorder
        so_far = processor_of_children()  # the check of the store, and the loader's processes
        timed(finish_of_ours, spent["end"])(self, *given, **named)
        recorder = processor_of_children() - so_far

    finish_of_ours = Recorder.finish
    with (
        patch.object(train, "store_checked", inside(store_checked, spent["check"])),
        patch.object(train, "begin", timed(train.begin, spent["begin"])),
        patch.object(Recorder, "start", timed(Recorder.start, spent["start"])),
        patch.object(Recorder, "keep_alive", timed(Recorder.keep_alive, spent["alive"])),
        patch.object(Recorder, "finish", finish),
        patch.object(train, "_follow", timed(train._follow, spent["training"])),
    ):
        train.main()
    training = sum(spent["training"])
    print(f"\n{title}, a training of {training:.1f} s")
    print(f"{'':44}{'calls':>7}{'ms a call':>12}{'s':>9}{'of training':>13}")
    row("once: ask the store; read labels meanwhile", spent["check"], training)
    row("once: begin the recording", spent["begin"], training)
    row("once: start the recorder", spent["start"], training)
    row("while it trains: look after the recorder", spent["alive"], training)
    row("once: wait until MLflow has all of it", spent["end"], training)
    print(f"processor time of the recorder: {recorder:.1f} s")


def processor_of_children() -> float:
    """Seconds of processor time of the processes that have ended below this one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def late(folder: Path) -> None:
    """A delivery when the tables have many rows, of which the last are new."""
    with open_training_run(TrackingConfig(), parameters={}, key=KEY, identity=identity()) as run:
        delivery = Delivery(run, long_tables(folder, EPOCHS - 1, ROWS - ROWS // EPOCHS))
        delivery.send()
        long_tables(folder, EPOCHS, ROWS)
        seconds: list[float] = []
        timed(delivery.send, seconds)()
    print(
        f"\na delivery at the end of {EPOCHS} epochs with {ROWS} rows of steps, of which"
        f" {ROWS // EPOCHS} are new: {1e3 * seconds[0]:.0f} ms"
    )


def long_tables(folder: Path, epochs: int, rows: int) -> Path:
    """Tables of so many epochs, with so many rows of steps."""
    leave_tables(folder, [1.0] * epochs)
    lines = ["step,epoch,lr,loss,coord,objectness,class"]
    lines += [f"{50 * row},{row / 125},0.01,1.5,0.25,0.5,0.125" for row in range(1, rows + 1)]
    (folder / "steps.csv").write_text("\n".join(lines) + "\n")
    return folder


def timed(function: Callable[..., Any], into: list[float]) -> Callable[..., Any]:
    """``function``; the seconds of each call are added to ``into``."""

    @wraps(function)
    def called(*given: Any, **named: Any) -> Any:
        started = time.perf_counter()
        try:
            return function(*given, **named)
        finally:
            into.append(time.perf_counter() - started)

    return called


def inside(context: Callable[[], Any], into: list[float]) -> Callable[[], Any]:
    """``context``, timed from its entry to its exit."""

    @contextmanager
    def block() -> Iterator[None]:
        started = time.perf_counter()
        with context():
            yield
        into.append(time.perf_counter() - started)

    return block


def row(title: str, seconds: list[float], training: float) -> None:
    """Print a line of the table."""
    total = sum(seconds)
    mean = 1e3 * total / len(seconds)
    print(f"{title:44}{len(seconds):7}{mean:12.1f}{total:9.2f}{total / training:13.2%}")


if __name__ == "__main__":
    main()
