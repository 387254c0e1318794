"""``pipeline standing``."""

import argparse

from pipeline.commands.reply import add_json, add_summary, replying

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
    add_json(parser)
    add_summary(parser)


def run(args: argparse.Namespace) -> None:
    """Print the versions that have an alias, and what waits."""
    from pipeline.params.schema import load
    from pipeline.promotion.standing import content, lines, standing

    params = load()
    with replying(args.json, args.summary) as reply:
        found = standing(params)
        reply(content(found), *lines(found))
