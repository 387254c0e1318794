"""``pipeline views``."""

import argparse

SUMMARY = "where MLflow shows the runs in an order that answers questions"
DESCRIPTION = """\
The addresses of MLflow's prepared views: evaluations best first, trainings; as table or charts.
They are made if the experiment has none yet; what you change there stays.
"""
EXAMPLE = """\
example:
  pipeline views
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """``pipeline views`` has no options."""


def run(args: argparse.Namespace) -> None:
    """Print the address of each view."""
    from pipeline.params.reading import read_section
    from pipeline.params.tracking import TrackingConfig
    from pipeline.tracking.experiment import links

    print(*links(read_section("tracking", TrackingConfig)), sep="\n")
