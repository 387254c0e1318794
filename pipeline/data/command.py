"""``pipeline data``: new data come in, checked, versioned and recorded.

Exit status 0: added, or there already; 1: refused, with the reason; of ``status`` 3: a frozen
split is not what it was.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from pipeline.data.add import Added, Order, add
from pipeline.data.data_set import DataSet, find_data_set, is_versioned
from pipeline.data.log import read_log
from pipeline.data.reading import changed_splits, read_tables
from pipeline.params.schema import Params, load
from pipeline.running.entry import run_stage
from yolov2.data.description import SPLITS
from yolov2.data.labels.problems import format_notes, format_problems
from yolov2.data.table import describe

CHANGED = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and do it; the exit status."""
    chosen = _parser().parse_args(arguments)
    params = load()
    if chosen.command == "list":
        return show_batches(params)
    if chosen.command == "status":
        return show_status(params)
    order = Order(
        folder=chosen.folder,
        split=chosen.split,
        name=chosen.name,
        move=chosen.move,
        dry_run=chosen.dry_run,
        new_test_split=chosen.new_test_split,
    )
    report(add(params, order), order)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pipeline data",
        description="Add data to the data set of params.yaml, and show what was added.",
        epilog="example: pipeline data add incoming/2026-05 --dry-run",
    )
    commands = parser.add_subparsers(dest="command", required=True)
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
    return parser


def report(added: Added, order: Order) -> None:
    """Say what was found, done, and what comes next."""
    arrival, images, batch = added.arrival, added.images, added.batch
    for line in format_notes(arrival.notes):
        print(line)
    if arrival.problems:
        print(format_problems(arrival.problems))
    if arrival.unlabelled:
        print(f"{arrival.unlabelled} images have no label file: they count as showing no object")
    if images.known:
        print(f"skipped: {len(images.known)} images that {order.split} has, with the same labels")
    if images.repeated:
        print(f"skipped: {len(images.repeated)} images that are in {order.folder} more than once")
    if batch is None:
        print(f"nothing new in {order.folder}: all of it is there already")
        return
    data = added.data
    verb = "would be added" if order.dry_run else "added"
    print(f"{batch.images} images, {batch.boxes} boxes {verb} to {batch.split}:")
    print("  " + ", ".join(f"{name} {count}" for name, count in batch.boxes_by_class.items()))
    print(f"  batch {_short(data.batches / batch.name)}, digest {batch.digest[:12]}")
    print(f"  described in {_short(data.description)}, recorded in {_short(data.log)}")
    if data.config.config != load().data.config or data.now.file != data.description:
        print(f"  params.yaml: data.config {data.config.config}, data.root {data.config.root}")
    if not is_versioned(data):
        print(
            f"  note: DVC keeps this batch, but neither DVC nor git the other images of"
            f" {_short(data.root)}; `dvc add {_short(data.root)}` before the first batch keeps all"
        )
    if not order.dry_run:
        print(f"next: git add {' '.join(_to_commit(data))} && git commit; dvc push; dvc repro")


def _to_commit(data: DataSet) -> list[str]:
    """What git must hold of it; what ``dvc add`` writes it has staged already (autostage)."""
    files = [data.description, data.log, Path("params.yaml").resolve()]
    tracked = data.tracked
    if tracked is not None:
        files = [path for path in files if not path.is_relative_to(tracked.path)]
        return [*map(_short, files), tracked.owner]
    return [*map(_short, files), _short(data.batches)]


def show_batches(params: Params) -> int:
    """Print a line for each batch, oldest first."""
    data = find_data_set(params.data)
    log = read_log(data.log)
    if not log.batches:
        print(f"nothing was added to {params.data.config} yet")
    for batch in log.batches:
        lost = "" if data.holds(batch.name) else "  NOT in the data set: add it again"
        skipped = f", {batch.skipped} skipped" if batch.skipped else ""
        print(
            f"{batch.added}  {batch.name}  {batch.split}: {batch.images} images, {batch.boxes}"
            f" boxes{skipped}, digest {batch.digest[:12]}, from {batch.source}, by {batch.by}{lost}"
        )
    return 0


def show_status(params: Params) -> int:
    """Print counts and digest of each split; 3 if val or test is not what was recorded."""
    data = find_data_set(params.data)
    tables, log = read_tables(data.now, params.validate), read_log(data.log)
    changed, about = changed_splits(log, tables, data), describe(tables)
    print(f"{_short(data.now.file)}, batches: {sum(data.holds(b.name) for b in log.batches)}")
    expected = log.expected(data.holds)
    for split, counts in about["splits"].items():
        digest = about["digest"][split]
        standing = (
            ", as recorded" if split in expected else "" if split == "train" else ", not frozen"
        )
        if split in changed:
            standing = f", CHANGED (was {expected[split][:12]})"
        print(
            f"{split}: {counts['images']} images, {counts['boxes']} boxes, digest {digest[:12]}"
            f"{standing}"
        )
    for split in (gone for gone in changed if gone not in about["splits"]):
        print(f"{split}: MISSING (frozen as {expected[split][:12]})")
    return CHANGED if changed else 0


def _short(path: Path) -> str:
    return os.path.relpath(path)


if __name__ == "__main__":
    run_stage(main)
