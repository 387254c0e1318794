"""``pipeline compare``."""

import argparse
from collections.abc import Callable
from pathlib import Path

from pipeline.commands.reply import add_json, replying

SUMMARY = "which of two models is better, by how much, and how surely"
DESCRIPTION = """\
Which is better, by how much, and how sure is that? A and B are MLflow runs, versions of the
registered model (3, @champion) or checkpoints; several runs of one recipe, which differ in their
seed, are joined by commas. Each further one is compared with A as well.

Detections that an evaluation left are used if they are of the very data in the work space (equal
digest) by the same thresholds; otherwise the checkpoint is evaluated anew. The pages go to
reports/compare/ and to MLflow.
"""
EXAMPLE = """\
example:
  pipeline compare @champion @challenger
  pipeline compare a1.pt,a2.pt,a3.pt b1.pt,b2.pt,b3.pt     two recipes, three seeds each
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pipeline compare``."""
    parser.add_argument("a", metavar="A", help="a run, version, checkpoint, or several")
    parser.add_argument("others", nargs="+", metavar="B", help="what is held against it")
    parser.add_argument("--split", choices=("train", "val", "test"), help="default: evaluate.split")
    parser.add_argument(
        "--resamples", type=_count(1), default=1000, metavar="N", help="of the bootstrap (1000)"
    )
    parser.add_argument("--seed", type=_count(0), default=0, metavar="N", help="of the resamples")
    parser.add_argument("--pictures", type=_count(0), default=8, metavar="N", help="images to show")
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:1, ...; default: machine.device")
    parser.add_argument(
        "--no-speed", dest="speed", action="store_false", help="do not measure milliseconds"
    )
    parser.add_argument(
        "--output-dir", type=Path, metavar="FOLDER", help="default: reports/compare"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> None:
    """Compare, write the pages, log them, print a line for each pair."""
    from pipeline.comparison.compare import Wanted, compare

    wanted = Wanted(
        sides=(args.a, *args.others),
        split=args.split,
        device=args.device,
        resamples=args.resamples,
        seed=args.seed,
        pictures=args.pictures,
        speed=args.speed,
        folder=args.output_dir,
    )
    with replying(args.json) as reply:
        found = []
        for compared in compare(wanted):
            print(compared.finding.sentence())
            print(f"  {compared.page}, MLflow run {compared.run_id}")
            found.append(compared.finding.content())
        reply(found)


def _count(least: int) -> Callable[[str], int]:
    """Reads a whole number of at least ``least``."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} on, not {text}")
        return int(text)

    return number
