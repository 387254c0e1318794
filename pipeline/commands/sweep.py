"""``pipeline sweep``."""

import argparse

SUMMARY = "what a sweep has found so far"
DESCRIPTION = """\
What a sweep (`python -m flows.sweep`) has found so far: a table of its trials and pictures in
reports/sweeps/NAME/, and the same in MLflow, where each trial's run is told which trial it was. May
be asked for while the sweep is at work.
"""
EXAMPLE = """\
example:
  pipeline sweep lr-1a2b3c4d
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pipeline sweep``."""
    parser.add_argument("name", metavar="NAME", help="of the sweep, as it printed it")


def run(args: argparse.Namespace) -> None:
    """Write the pages, tell MLflow, and print the best settings."""
    from pipeline.sweep.report import report

    report(args.name)
