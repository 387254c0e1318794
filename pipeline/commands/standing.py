"""``pipeline standing``."""

import argparse
from pathlib import Path

SUMMARY = "what serves, why it was chosen, and what waits for a decision"
DESCRIPTION = """\
What serves, why it was chosen, and what waits for a decision. Reads the registry and the exported
graph of this folder; nothing is measured or changed.
"""
EXAMPLE = """\
example:
  pipeline standing
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pipeline standing``."""
    parser.add_argument("--summary", type=Path, metavar="FILE", help="what waits, as JSON, too")


def run(args: argparse.Namespace) -> None:
    """Print the versions that have an alias, and what waits."""
    from pipeline.params.schema import load
    from pipeline.promotion.standing import lines, standing
    from pipeline.registry.models import Registry
    from yolov2.files import write_json

    params = load()
    found = standing(params, Registry(params.tracking))
    print(*lines(found), sep="\n")
    if args.summary is not None:
        write_json(args.summary, {"pending": found.pending, "sentence": found.sentence})
