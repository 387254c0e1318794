"""What serves the stage ``train`` killed at chosen moments, while the stage itself goes on."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.support.killing import (
    POLL_SECONDS,
    RECIPE,
    Phase,
    Timeline,
    is_trained,
    moments,
    newest_step,
    require_success,
    start,
)
from tests.pipeline import servers
from tests.pipeline.recorders import kill_recorder, recorder_of
from tests.pipeline.small_training import make_workspace

AWAY_SECONDS = 5.0
"""A server comes back after at most so long, and needs some seconds more to answer."""

Kill = Callable[["subprocess.Popen[str]"], bool]
"""Kill the victim of this stage; False while there is none."""


def run_without_recorder(
    root: Path, settings: Mapping[str, Any], images: int, timeline: Timeline, kills: int, seed: int
) -> Counter[Phase]:
    """The training, its recorder killed ``kills`` times; what the training was at then."""
    make_workspace(root, RECIPE | settings, images=images)

    def kill(stage: "subprocess.Popen[str]") -> bool:
        if recorder_of(stage.pid) is None:
            return False
        kill_recorder(stage.pid)
        return True

    return _disturbed(root, moments(timeline, kills, random.Random(seed)), kill)


def run_without_server(
    root: Path, settings: Mapping[str, Any], images: int, timeline: Timeline, kills: int, seed: int
) -> Counter[Phase]:
    """The same training told to an MLflow server, which is killed and started again each time."""
    make_workspace(root, RECIPE | settings, images=images)
    rng, port = random.Random(seed), servers.free_port()
    running = [_server(root, port)]

    def kill(stage: "subprocess.Popen[str]") -> bool:
        if newest_step(root) == 0:  # without a store a stage does not begin
            return False
        servers.stop(running.pop(), signal.SIGKILL)
        time.sleep(rng.uniform(0, AWAY_SECONDS))
        running.append(_server(root, port))
        return True

    with _environment("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}"):
        try:
            return _disturbed(root, moments(timeline, kills, rng), kill)
        finally:
            servers.stop(running.pop())


def _disturbed(root: Path, when: list[float], kill: Kill) -> Counter[Phase]:
    """Run the stage to its end; at each of these seconds, or once it can, ``kill``."""
    hit: Counter[Phase] = Counter()
    process, began = start(root), time.perf_counter()
    for moment in sorted(when):
        while process.poll() is None and time.perf_counter() - began < moment:
            time.sleep(POLL_SECONDS)
        while process.poll() is None:
            phase: Phase = "ending" if is_trained(root) else "training"
            if kill(process):
                hit[phase if newest_step(root) else "starting"] += 1
                break
            time.sleep(POLL_SECONDS)
        else:
            hit["missed"] += 1
    process.wait()
    require_success(process, root)
    return hit


def _server(root: Path, port: int) -> "subprocess.Popen[bytes]":
    place = ("--backend-store-uri", f"sqlite:///{root}/mlflow.db", "--workers", "1")
    files = ("--artifacts-destination", str(root / "mlartifacts"))
    return servers.start("server", *place, *files, ready="health", cwd=root, port=port)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
