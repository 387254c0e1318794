"""``pipeline trace``."""

import argparse

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
    parser.add_argument("--json", action="store_true", help="for programs")


def run(args: argparse.Namespace) -> None:
    """Print where the outputs come from."""
    import json

    from pipeline.params.reading import read_section
    from pipeline.params.tracking import TrackingConfig
    from pipeline.tracking.trace import render, trace

    found = trace(read_section("tracking", TrackingConfig), args.rev)
    print(json.dumps(found, indent=2) if args.json else render(found))
