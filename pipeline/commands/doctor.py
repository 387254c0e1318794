"""``pipeline doctor``."""

import argparse

from pipeline.commands.reply import add_json, replying

SUMMARY = "what of the environment is missing or odd, and the remedy"
DESCRIPTION = """\
What of the environment is missing or odd, with the remedy: git and its identity, DVC and its
cache, the MLflow store, versions against requirements.lock, shared memory, disk, threads on a
shared machine. Changes nothing.

Exit status 0: all is well; 3: something would fail; remarks alone are 0.
"""
EXAMPLE = """\
example:
  pipeline doctor
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pipeline doctor``."""
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print a line for each finding; 3 if something would fail."""
    from dataclasses import asdict

    from pipeline.overview.doctor import BAD, examine, render

    with replying(args.json) as reply:
        found = examine()
        reply([asdict(each) for each in found], render(found))
    return 3 if any(each.state == BAD for each in found) else 0
