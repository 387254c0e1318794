"""Sides of a comparison, timed in turns, so that what slows the machine slows all of them."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

Repetition = Callable[[], float]
"""Does the work once; how many seconds it took."""


def timed(work: Callable[[], object], *, cpu: bool = False) -> Repetition:
    """``work`` of this process as a side; ``cpu`` counts its processor time."""
    clock = time.process_time if cpu else time.perf_counter

    def repetition() -> float:
        started = clock()
        work()
        return clock() - started

    return repetition


@contextmanager
def peer(
    python: str, inputs: Mapping[str, Tensor], *, script: str = "lightnet_peer.py", **job: Any
) -> Iterator[Repetition]:
    """A side that the ``script`` beside this one computes, run by the interpreter ``python``."""
    script = str(Path(__file__).with_name(script))
    with TemporaryDirectory() as folder:
        file = Path(folder) / "inputs.pt"
        torch.save(dict(inputs), file)
        process = subprocess.Popen(
            [python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        assert process.stdout is not None
        ask, answers = process.stdin, process.stdout

        def say(line: str) -> str:
            ask.write(f"{line}\n")
            ask.flush()
            answer = answers.readline()
            if not answer:
                sys.exit(f"{python} {script} ended: see its message above")
            return answer

        job = {"inputs": str(file), "threads": torch.get_num_threads(), **job}
        version = json.loads(say(json.dumps(job)))["torch"]
        if version != torch.__version__:
            print(f"note: the peer has torch {version}, this side {torch.__version__}")
        try:
            yield lambda: float(say("again"))
        finally:
            ask.close()
            process.wait()


def medians(
    sides: Mapping[str, Repetition], repetitions: int, warm_up: int = 2
) -> dict[str, float]:
    """Median seconds of each side over ``repetitions`` rounds in which each has its turn."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(warm_up + repetitions):
        for name, repetition in sides.items():
            took = repetition()
            if turn >= warm_up:
                seconds[name].append(took)
    return {name: median(values) for name, values in seconds.items()}


def rows(found: Mapping[str, float], *, against: str) -> None:
    """Print a line for each side: milliseconds, and its share of the side ``against``."""
    base = found.get(against)
    for name, seconds in found.items():
        share = "peer not given" if base is None else f"{seconds / base:.3f}"
        print(f"{name:34}{1e3 * seconds:12.2f}{share:>18}")
