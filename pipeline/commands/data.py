"""``pipeline data``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.commands.reply import add_json, replying
from yolov2.command_line import add_branch

if TYPE_CHECKING:
    from pipeline.params.digits import DigitsConfig

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
CHANGED = 3
"""Exit status of ``status`` where val or test is not what was recorded."""
SPLITS = ("train", "val", "test")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pipeline data``."""
    commands = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    new = add_branch(
        commands,
        "add",
        help="check a folder, copy it into the data set, version and record it",
        example="pipeline data add data/incoming/may --dry-run",
        more="The folder has images/ and labels/, or .txt files beside the images; it is checked by"
        " the rules of params.yaml and added as a batch: all of it, or nothing. Images that the"
        " split has already are skipped; images that another split has are refused.",
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
    listed = add_branch(
        commands, "list", help="the batches that were added", example="pipeline data list"
    )
    add_json(listed)
    status = add_branch(
        commands,
        "status",
        help="the splits and whether val and test are what was recorded (3: they are not)",
        example="pipeline data status --json",
    )
    add_json(status)
    _add_demo(commands)


def _add_demo(commands: "argparse._SubParsersAction[Any]") -> None:
    demo = add_branch(
        commands,
        "demo",
        help="write new scenes of the demo's digits into a folder, to add them",
        example="pipeline data demo data/incoming/may --scenes 300 --seed 5",
        more="They are as data that arrive later: none of the data set's, of the digits and"
        " photographs of one of its splits.",
    )
    demo.add_argument("folder", type=Path, metavar="FOLDER", help="a new one")
    demo.add_argument("--scenes", type=int, default=300, metavar="N", help="how many (300)")
    demo.add_argument("--seed", type=int, default=1, metavar="N", help="another, other scenes (1)")
    demo.add_argument("--split", choices=SPLITS, default="train", help="default: train")


def run(args: argparse.Namespace) -> int:
    """Do it; the exit status."""
    from pipeline.data import report
    from pipeline.data.add import Order, add
    from pipeline.params.schema import load

    params = load()
    if args.what == "demo":
        return _demo(args, params.digits)
    if args.what == "list":
        with replying(args.json) as reply:
            listed = report.batches(params)
            reply(listed, *report.batch_lines(listed))
        return 0
    if args.what == "status":
        with replying(args.json) as reply:
            found = report.status(params)
            reply(found, *report.status_lines(found))
        return CHANGED if found["changed"] else 0
    order = Order(
        folder=args.folder,
        split=args.split,
        name=args.name,
        move=args.move,
        dry_run=args.dry_run,
        new_test_split=args.new_test_split,
    )
    report.added(add(params, order), order)
    return 0


def _demo(args: argparse.Namespace, config: "DigitsConfig") -> int:
    from pipeline.scenes.arrivals import write_arrivals

    write_arrivals(args.folder, config, split=args.split, count=args.scenes, seed=args.seed)
    print(f"{args.folder}: {args.scenes} new scenes of the digits for {args.split}")
    return 0
