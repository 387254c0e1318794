"""``pipeline data``."""

import argparse
from pathlib import Path

SUMMARY = "new data come in, checked, versioned and recorded"
DESCRIPTION = """\
Add data to the data set of params.yaml, and show what was added.

Exit status 0: added, or there already; 1: refused, with the reason; of `status` 3: a frozen split
is not what it was.
"""
EXAMPLE = """\
example:
  pipeline data add incoming/2026-05 --dry-run
  pipeline data list
"""
SPLITS = ("train", "val", "test")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pipeline data``."""
    commands = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    new = commands.add_parser(
        "add",
        help="check a folder, copy it into the data set, version and record it",
        description="Check a folder of images and labels (images/ and labels/ below it, or .txt"
        " files beside the images) by the rules of params.yaml, and add it as a batch: all of"
        " it, or nothing. Images that the split has already are skipped; images that another"
        " split has are refused.",
    )
    new.add_argument("folder", type=Path, metavar="FOLDER")
    new.add_argument("--split", choices=SPLITS, default="train", help="default: train")
    new.add_argument("--name", help="of the batch; default: the folder's")
    new.add_argument("--move", action="store_true", help="remove the files from FOLDER afterwards")
    new.add_argument("--dry-run", action="store_true", help="check and say what would be done")
    new.add_argument(
        "--new-test-split",
        action="store_true",
        help="let the split change that models are compared on, or accept that it has",
    )
    commands.add_parser("list", help="the batches that were added")
    commands.add_parser(
        "status", help="the splits and whether val and test are what was recorded (3: they are not)"
    )


def run(args: argparse.Namespace) -> int:
    """Do it; the exit status."""
    from pipeline.data.add import Order, add
    from pipeline.data.told import report, show_batches, show_status
    from pipeline.params.schema import load

    params = load()
    if args.what == "list":
        return show_batches(params)
    if args.what == "status":
        return show_status(params)
    order = Order(
        folder=args.folder,
        split=args.split,
        name=args.name,
        move=args.move,
        dry_run=args.dry_run,
        new_test_split=args.new_test_split,
    )
    report(add(params, order), order)
    return 0
