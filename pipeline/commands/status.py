"""``pipeline status``."""

import argparse

from pipeline.commands.reply import add_json, replying

SUMMARY = "one page: data, stages, last run, champion, what waits, disk used"
DESCRIPTION = """\
Where everything stands, on one page: the data, whether each stage is up to date, the last run and
its AP, the champion, what waits for a decision, and the disk that checkpoints, cache and runs take,
with the command that frees it. Looks only; nothing is measured or changed.

Exit status 0: all is up to date and decided; 3: something is to be done, which the page names.
"""
EXAMPLE = """\
example:
  pipeline status
  pipeline status --json
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pipeline status``."""
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the page; 3 if something is to be done."""
    from pipeline.overview.status import render, status

    with replying(args.json) as reply:
        found = status()
        reply(found, render(found))
    return 3 if found["to_do"] else 0
