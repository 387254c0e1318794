"""What Prefect costs around a pipeline that is up to date: ``python -m benchmarks.flow_overhead``.

In turns, whole processes: bare `dvc repro`, the training and the retraining flow (each with a
temporary Prefect server of its own), and the training flow with an empty PREFECT_HOME, whose
database has to be made. Run it in a working copy in which `python -m flows.retraining` finds
nothing to do.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

COMMANDS = {
    "dvc repro": ("dvc", "repro", "--quiet"),
    "flows.training": ("flows.training",),
    "flows.retraining": ("flows.retraining",),
    "flows.training, first start": ("flows.training",),
}
BARE = "dvc repro"
FIRST = "flows.training, first start"


def main() -> None:
    """Print a line for each command: median and range of its seconds, and what it adds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(), help="the working copy")
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(options.turns):
        for name in COMMANDS:
            seconds[name].append(timed(name, options.folder.resolve()))
    base = statistics.median(seconds[BARE])
    print(f"{'seconds':30}{'median':>8}{'min':>8}{'max':>8}{'over dvc':>10}")
    for name, found in seconds.items():
        median = statistics.median(found)
        row = f"{name:30}{median:8.1f}{min(found):8.1f}{max(found):8.1f}{median - base:10.1f}"
        print(row)


def timed(name: str, folder: Path) -> float:
    """Seconds that a command took from its start to its end."""
    with TemporaryDirectory() as empty:
        own = os.environ | {"PYTHONPATH": str(folder)}
        own["PREFECT_HOME"] = empty if name == FIRST else str(folder / ".prefect")
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", *COMMANDS[name]],
            cwd=folder,
            env=own,
            capture_output=True,
            text=True,
        )
        took = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"{name}: {done.stderr[-2000:]}")
    return took


if __name__ == "__main__":
    main()
