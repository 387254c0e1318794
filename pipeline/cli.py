"""The command ``pipeline``: what people ask of the production line, one word each.

Nothing heavy is imported before a command runs: ``--help`` has to answer at once.

Exit status: 0 done; 1 it could not be done, with one line that says why; 2 a command line that
makes no sense; 3 an answer that is a no (``promote``, ``reproduce``, ``data status``, ``status``,
``doctor``: each says which); 130 interrupted; 143 terminated.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from pipeline.commands import (
    compare,
    data,
    doctor,
    drift,
    params,
    plots,
    promote,
    register,
    reproduce,
    rollback,
    serve,
    standing,
    status,
    sweep,
    trace,
    track,
    views,
)
from pipeline.running.entry import run_stage
from yolov2.command_line import Parser

DESCRIPTION = """\
The production line around the detector: what `dvc repro` has made is compared, registered,
promoted, served, and made again. The detector alone is the command `yolov2`.
"""
EPILOG = """\
the usual way:
  pipeline params use own --data my/data.yaml    settings for an own data set
  dvc repro                                      runs what is stale
  pipeline status                                where everything stands
  pipeline register && pipeline promote          the new model serves, if it is better

`pipeline COMMAND --help` explains a command and shows an example.
"""

COMMANDS = (
    *(status, params, data, drift, compare, register, promote, rollback, standing, serve),
    *(reproduce, trace, track, views, sweep, plots, doctor),
)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Leaves the lines of descriptions and examples as they are; names no default that is none."""


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; a command's function is in ``run``."""
    parser = Parser(
        prog="pipeline", description=DESCRIPTION, epilog=EPILOG, formatter_class=_Formatter
    )
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for command in COMMANDS:
        subparser = subparsers.add_parser(
            command.__name__.rpartition(".")[2],
            help=command.SUMMARY,
            description=command.DESCRIPTION,
            epilog=command.EXAMPLE,
            formatter_class=_Formatter,
        )
        command.add_options(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line ``arguments`` (default: this process's); the exit status.

    Raises:
        ValueError: it cannot be done; one sentence.
    """
    parser = build_parser()
    chosen = parser.parse_args(arguments)
    if chosen.command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        status: int | None = chosen.run(chosen)
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader of our output (head, less) has seen enough; nothing is left to flush to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status or 0


def main() -> None:
    """The console script."""
    run_stage(run)


if __name__ == "__main__":
    main()
