"""``pipeline reproduce``."""

import argparse

from pipeline.commands.reply import add_json, replying

STATUS_DIFFERENT = 3
SUMMARY = "does the same code on the same data give the same result?"
DESCRIPTION = """\
Does the same code on the same data give the same result? RUN is an MLflow run of a training or an
evaluation, or a version of the registered model (3, @champion). Its code (commit and patch), data
and parameters are brought back in a folder of their own, the pipeline runs there anew, and weights,
metrics and exported files are compared. The page is in reports/reproduce/ and with the run in
MLflow.

Exit status 0: identical or within the tolerance; 3: different; 1: it cannot be done.
"""
EXAMPLE = """\
example:
  pipeline reproduce @champion
  pipeline reproduce 3 -S train.seed=1 --keep
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pipeline reproduce``."""
    parser.add_argument("run_named", metavar="RUN", help="a run id, a version number or @alias")
    parser.add_argument(
        "-S", action="append", default=[], metavar="section.key=value", dest="changes",
        help="run with another value, as `dvc exp run -S` does; may be repeated",
    )  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="leave the folder of the repetition")
    parser.add_argument(
        "--tolerance", type=float, metavar="X",
        help="difference of AP that counts as the same result (0.005)",
    )  # fmt: skip
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Repeat, write the page, print the verdict; the exit status."""
    from pipeline.reproduction.reproduce import reproduce
    from pipeline.reproduction.verdict import DIFFERENT

    with replying(args.json) as reply:
        done = reproduce(args.run_named, args.changes, keep=args.keep, tolerance=args.tolerance)
        reply(done)
    return STATUS_DIFFERENT if done["verdict"] == DIFFERENT else 0
