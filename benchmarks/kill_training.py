"""Is a training that is killed the same in the end? ``python -m benchmarks.kill_training``.

The real stage ``python -m pipeline.train`` runs once without interruption, and once with SIGKILL
to its whole process group at random moments of all it does: starting, training, validating,
saving, telling MLflow, ending. It is started again each time. Weights, history and every point
of every curve in MLflow must then be those of the first; the exit status is 1 if they are not.

Ten minutes or more; ``--kills 3`` is a quick look.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.support.killing import differences, run_killed, run_whole
from tests.pipeline.workspace import stored_figures, stored_runs

CASES = {"float32": {"train.amp": "off"}, "bfloat16": {"train.amp": "bf16"}}


def main() -> int:
    """Print a line for each number format; 1 if a killed training differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20, help="of each training")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--epochs", type=int, default=36)
    parser.add_argument("--images", type=int, default=64)
    options = parser.parse_args()
    wrong = 0
    print(
        f"{'':10}{'steps':>6}{'starting':>10}{'training':>10}{'ending':>8}"
        f"{'kills in each part':>26}{'dead runs':>11}{'points':>8}  result",
        flush=True,
    )
    for name, case in CASES.items():
        settings = case | {"train.epochs": options.epochs}
        with TemporaryDirectory() as folder:
            whole, killed = Path(folder) / "whole", Path(folder) / "killed"
            timeline = run_whole(whole, settings, options.images)
            hit = run_killed(
                killed, settings, options.images, timeline, options.kills, options.seed
            )
            found = differences(whole, killed)
            runs = stored_runs(killed / "mlflow.db")
            points = sum(len(stored_figures(killed / "mlflow.db", run_id)) for run_id in runs)
        parts = " ".join(f"{count} {part}" for part, count in sorted(hit.items()))
        print(
            f"{name:10}{timeline.steps:6}{timeline.starting:8.1f} s{timeline.training:8.1f} s"
            f"{timeline.ending:6.1f} s{parts:>34}{len(runs) - 1:11}{points:8}"
            f"  {'; '.join(found) or 'identical'}",
            flush=True,
        )
        wrong += bool(found)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
