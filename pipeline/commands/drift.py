"""``pipeline drift``."""

import argparse

from pipeline.commands.reply import add_json, replying

SUMMARY = "how far the data of a split moved between two states"
DESCRIPTION = """\
How far the data of a split moved since a reference (population stability index: from 0.1 some, from
0.25 strong). Compared are the label tables that the stage `validate` writes: class shares, boxes of
an image, relative area and aspect of the boxes, sizes and aspect of the images. What the pixels
look like (brightness, contrast) is not in these tables and not measured. Writes reports/drift.md
and drift.json.
"""
EXAMPLE = """\
example:
  pipeline drift --reference HEAD         before dvc.lock is committed
  pipeline drift --reference trained      since the last training here
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pipeline drift``."""
    parser.add_argument(
        "--reference",
        default="HEAD",
        metavar="REF",
        help="a folder with a label table, a git revision that DVC has one for, or `trained`:"
        " what the last training here has read; default: HEAD",
    )
    parser.add_argument(
        "--split", choices=("train", "val", "test"), default="train", help="default: train"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> None:
    """Measure, write ``reports/drift.json`` and ``.md``."""
    from pipeline.drift.drift import report

    with replying(args.json) as reply:
        found = report(args.reference, args.split)
        lines = [
            f"{one.name}: PSI {one.shift.psi:.3f}, {one.shift.verdict}; {one.change}"
            for one in found.measures
        ]
        reply(found.as_dict(), *lines, found.sentence())
