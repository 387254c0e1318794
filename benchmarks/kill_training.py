"""Is a training that is killed the same in the end? ``python -m benchmarks.kill_training``.

The real stage ``python -m pipeline.train`` runs once without interruption, and again with SIGKILL
at random moments of all it does: starting, training, validating, saving, telling MLflow, ending.
Killed are the stage with all that it has started, which is started again each time; its recorder
alone, which the stage starts again; and the MLflow server, which comes back after some seconds.
Weights, history and every point of every curve in MLflow must then be those of the first; the exit
status is 1 if they are not.

Half an hour; ``--kills 3`` is a quick look.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.support.killing import Phase, run_killed, run_whole
from benchmarks.support.leftovers import differences
from benchmarks.support.victims import run_without_recorder, run_without_server
from tests.pipeline.small_training import stored_figures, stored_runs

VICTIMS = {"stage": run_killed, "recorder": run_without_recorder, "server": run_without_server}
CASES = (
    ("stage", "float32", {"train.amp": "off"}),
    ("stage", "bfloat16", {"train.amp": "bf16"}),
    ("recorder", "float32", {"train.amp": "off"}),
    ("server", "float32", {"train.amp": "off"}),
)


def main() -> int:
    """Print a line for each victim and number format; 1 if a disturbed training differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20, help="of each training")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--epochs", type=int, default=36)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--victim", choices=sorted(VICTIMS), help="only this one")
    options = parser.parse_args()
    print(
        f"{'killed':18}{'steps':>6}{'starting':>10}{'training':>10}{'ending':>8}"
        f"{'kills: starting':>17}{'training':>10}{'ending':>8}{'points':>8}  result",
        flush=True,
    )
    wrong = 0
    for victim, numbers, case in CASES:
        if options.victim in (None, victim):
            found = compare(victim, numbers, case | {"train.epochs": options.epochs}, options)
            print(f"  {'; '.join(found) or 'identical'}", flush=True)
            wrong += bool(found)
    return 1 if wrong else 0


def compare(
    victim: str, numbers: str, settings: dict[str, Any], options: argparse.Namespace
) -> list[str]:
    """Print the figures of a line; what is different after the kills."""
    with TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        timeline = run_whole(whole, settings, options.images)
        (run_id,) = stored_runs(whole / "mlflow.db")
        points = len(stored_figures(whole / "mlflow.db", run_id))
        hit: Counter[Phase] = Counter()
        found: list[str] = []
        # a stage that ended before its last kills came is followed by another training
        for attempt in range(10):
            killed = Path(folder) / f"killed-{attempt}"
            left = options.kills - sum(hit.values())
            seed = options.seed + attempt
            hit += VICTIMS[victim](killed, settings, options.images, timeline, left, seed)
            del hit["missed"]
            found += differences(whole, killed)
            if sum(hit.values()) == options.kills:
                break
    line = (
        f"{f'{victim}, {numbers}':18}{timeline.steps:6}{timeline.starting:8.1f} s"
        f"{timeline.training:8.1f} s{timeline.ending:6.1f} s"
        f"{hit['starting']:17}{hit['training']:10}{hit['ending']:8}{points:8}"
    )
    print(line, end="")
    return found


if __name__ == "__main__":
    sys.exit(main())
