"""``pipeline views``."""

import argparse

from pipeline.commands.reply import add_json, replying

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
    """Options of ``pipeline views``."""
    add_json(parser)


def run(args: argparse.Namespace) -> None:
    """Print the address of each view."""
    from dataclasses import asdict

    from pipeline.params.reading import read_section
    from pipeline.params.tracking import TrackingConfig
    from pipeline.tracking.experiment import links

    with replying(args.json) as reply:
        found = links(read_section("tracking", TrackingConfig))
        lines = [f"{one.name}\n  table   {one.table}\n  charts  {one.charts}" for one in found]
        reply([asdict(one) for one in found], *lines)
