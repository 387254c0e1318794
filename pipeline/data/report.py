"""What ``pipeline data`` reports: of a batch that was added, of all batches, of the splits."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.data.add import Added, Order
from pipeline.data.data_set import DataSet, find_data_set, is_versioned
from pipeline.data.log import read_log
from pipeline.data.reading import changed_splits, read_tables
from pipeline.params.schema import Params, load
from yolov2.data.labels.problems import format_notes, format_problems
from yolov2.data.table import describe


def added(done: Added, order: Order) -> None:
    """Say what was found, done, and what comes next."""
    arrival, images, batch = done.arrival, done.images, done.batch
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
    data = done.data
    verb = "would be added" if order.dry_run else "added"
    print(f"{batch.images} images, {batch.boxes} boxes {verb} to {batch.split}:")
    print("  " + ", ".join(f"{name}: {count}" for name, count in batch.boxes_by_class.items()))
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


def batches(params: Params) -> dict[str, Any]:
    """The data set and its batches, oldest first; ``there``: whether the data set still has it."""
    data = find_data_set(params.data)
    listed = read_log(data.log).batches
    return {
        "config": params.data.config,
        "batches": [asdict(one) | {"there": data.holds(one.name)} for one in listed],
    }


def batch_lines(found: Mapping[str, Any]) -> list[str]:
    """The same for people: a line for each batch."""
    lines = []
    for one in found["batches"]:
        lost = "" if one["there"] else "  NOT in the data set: add it again"
        skipped = f", {one['skipped']} skipped" if one["skipped"] else ""
        lines.append(
            f"{one['added']}  {one['name']}  {one['split']}: {one['images']} images, {one['boxes']}"
            f" boxes{skipped}, digest {one['digest'][:12]}, from {one['source']}, by"
            f" {one['by']}{lost}"
        )
    return lines or [f"nothing was added to {found['config']} yet"]


def status(params: Params) -> dict[str, Any]:
    """Counts and digest of each split, the digests of the frozen ones, and which ``changed``."""
    data = find_data_set(params.data)
    tables, log = read_tables(data.now, params.validate), read_log(data.log)
    about, expected = describe(tables), log.expected(data.holds)
    return {
        "description": _short(data.now.file),
        "batches": sum(data.holds(one.name) for one in log.batches),
        "splits": {
            split: counts | {"digest": about["digest"][split], "frozen": expected.get(split)}
            for split, counts in about["splits"].items()
        },
        "missing": {s: value for s, value in expected.items() if s not in about["splits"]},
        "changed": changed_splits(log, tables, data),
    }


def status_lines(found: Mapping[str, Any]) -> list[str]:
    """The same for people: a line for each split."""
    lines = [f"{found['description']}, batches: {found['batches']}"]
    for split, one in found["splits"].items():
        state = ", as recorded" if one["frozen"] else "" if split == "train" else ", not frozen"
        if split in found["changed"]:
            state = f", CHANGED (was {one['frozen'][:12]})"
        lines.append(
            f"{split}: {one['images']} images, {one['boxes']} boxes, digest"
            f" {one['digest'][:12]}{state}"
        )
    gone = found["missing"].items()
    return [*lines, *(f"{split}: MISSING (frozen as {value[:12]})" for split, value in gone)]


def _short(path: Path) -> str:
    return os.path.relpath(path)
