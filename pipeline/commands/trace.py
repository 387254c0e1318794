"""``pipeline trace``."""

import argparse

from pipeline.commands.reply import add_json, replying

SUMMARY = "for each stage, what it read and which MLflow run made its outputs"
DESCRIPTION = """\
For each stage: is it up to date, what has it read, and which MLflow run made its outputs? Of the
work tree, or with --rev of a commit or experiment. A stage that DVC took from its cache makes no
run; then it is the run that once made what lies there now.
"""
EXAMPLE = """\
example:
  pipeline trace
  pipeline trace --rev demo --json
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pipeline trace``."""
    parser.add_argument("--rev", help="a commit, branch, tag or experiment (default: work tree)")
    add_json(parser)


def run(args: argparse.Namespace) -> None:
    """Print where the outputs come from."""
    from pipeline.params.reading import read_section
    from pipeline.params.tracking import TrackingConfig
    from pipeline.tracking.trace import render, trace

    with replying(args.json) as reply:
        found = trace(read_section("tracking", TrackingConfig), args.rev)
        reply(found, render(found))
