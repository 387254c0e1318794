"""``pipeline rollback``."""

import argparse

from pipeline.commands.reply import add_json, replying

SUMMARY = "the champion before becomes champion again"
DESCRIPTION = """\
The champion before becomes champion again. Needs no evaluation and asks no rule: it is for the
moment when production is wrong. The version that is taken back keeps the alias `previous`, so that
a second rollback undoes the first.
"""
EXAMPLE = """\
example:
  pipeline rollback --reason "misses small signs since Monday"
  pipeline rollback --to 3
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pipeline rollback``."""
    parser.add_argument("--to", type=int, metavar="N", help="a version; default: alias previous")
    parser.add_argument("--reason", default="", help="why; kept with the version taken back")
    add_json(parser)


def run(args: argparse.Namespace) -> None:
    """Move the aliases, print what they are now."""
    from dataclasses import asdict

    from pipeline.params.reading import read_section
    from pipeline.params.tracking import TrackingConfig
    from pipeline.registry.rollback import rollback

    with replying(args.json) as reply:
        done = rollback(read_section("tracking", TrackingConfig), args.to, args.reason)
        reply(asdict(done), done.sentence)
