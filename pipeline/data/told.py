"""What ``pipeline data`` says: of a batch that was added, of all batches, of the splits."""

import os
from pathlib import Path

from pipeline.data.add import Added, Order
from pipeline.data.data_set import DataSet, find_data_set, is_versioned
from pipeline.data.log import read_log
from pipeline.data.reading import changed_splits, read_tables
from pipeline.params.schema import Params, load
from yolov2.data.labels.problems import format_notes, format_problems
from yolov2.data.table import describe

CHANGED = 3


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
