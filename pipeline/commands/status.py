"""``pipeline status``."""

import argparse

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
    parser.add_argument("--json", action="store_true", help="for programs")


def run(args: argparse.Namespace) -> int:
    """Print the page; 3 if something is to be done."""
    import json

    from pipeline.overview.status import render, status

    found = status()
    print(json.dumps(found, indent=2) if args.json else render(found))
    return 3 if found["to_do"] else 0
