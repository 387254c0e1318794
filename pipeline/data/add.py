"""Adding a batch to the data set: every check first, then all of it or nothing.

The order of the writes makes a kill harmless. The batch is copied beside its place and renamed,
versioned, recorded, and last the description names it: until then it is no part of the data
set. The same command, given again, finishes what a killed one has begun.
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.data.arrival import Arrival, read_arrival
from pipeline.data.batch import Plan, choose_name, clean, copy_batch, plan_batch, remove_sources
from pipeline.data.data_set import DataSet, find_data_set
from pipeline.data.description import extension_text, use_data, with_entry
from pipeline.data.duplicates import Sorted, sort_images
from pipeline.data.log import Batch, Log, frozen_now, now, read_log, who, write_log
from pipeline.data.reading import bar, read_tables, refuse_changed
from pipeline.data.version import alone, version
from pipeline.params.schema import Params
from pipeline.paths import PARAMS
from yolov2.data.description import read_description
from yolov2.data.table import describe
from yolov2.files import write_text
from yolov2.termination import undisturbed


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a person asks for; see ``pipeline data add --help``."""

    folder: Path
    split: str = "train"
    name: str | None = None
    move: bool = False
    dry_run: bool = False
    new_test_split: bool = False


@dataclass(frozen=True, kw_only=True)
class Added:
    """What became of it: ``batch`` is None where every image was there already."""

    data: DataSet
    arrival: Arrival
    images: Sorted
    batch: Batch | None


def add(params: Params, order: Order) -> Added:
    """Add the images of a folder to the data set of ``params``, in the current repository.

    Raises:
        ValueError: something is wrong with the folder or the data set (see the modules used
            here), or DVC could not version it; the data set is as it was.
    """
    with alone():
        data = find_data_set(params.data)
        _refuse_own(data, order.folder)
        _refuse_judged(params, order)
        if not order.dry_run:
            clean(data.batches)
            _unfinished(data).unlink(missing_ok=True)
        existing = read_tables(data.now, params.validate)
        log = read_log(data.log)
        if order.new_test_split or not log.frozen:
            log = log.with_frozen(existing)
        refuse_changed(log, existing, data)
        with bar(str(order.folder)) as progress:
            arrival = read_arrival(
                order.folder, order.split, existing.class_names, params.validate, progress
            )
        chosen = sort_images(arrival, existing, data.now.root, order.split)
        batch = None
        if chosen.new:
            plan = plan_batch(arrival, chosen)
            name = choose_name(data, order.name, order.folder, plan)
            batch = _batch(name, order, arrival, chosen, plan)
            if not order.dry_run:
                _write(params, data, plan, log, batch)
        elif order.new_test_split and not order.dry_run:
            write_log(data.log, log)
        if not order.dry_run:
            _settle(params, data)
            if order.move:
                remove_sources(arrival)
        return Added(data=data, arrival=arrival, images=chosen, batch=batch)


def _refuse_own(data: DataSet, folder: Path) -> None:
    place = folder.resolve()
    inside = (path for paths in data.now.images.values() for path in paths)
    if any(path.is_relative_to(place) for path in inside) or place.is_relative_to(data.batches):
        raise ValueError(
            f"{folder} is a part of the data set {data.now.file} already: name a folder of new"
            " images beside it"
        )


def _refuse_judged(params: Params, order: Order) -> None:
    if order.split in ("test", params.evaluate.split) and not order.new_test_split:
        raise ValueError(
            f"--split {order.split}: models are compared by their score on {order.split}, so it"
            " stays as it is, or no figure from before could be compared with one from after. If"
            " it must grow, add --new-test-split: the champion is then evaluated anew before the"
            " next promotion"
        )


def _batch(name: str, order: Order, arrival: Arrival, chosen: Sorted, plan: Plan) -> Batch:
    about = describe(plan.tables)
    counts = about["splits"][order.split]
    return Batch(
        name=name,
        split=order.split,
        added=now(),
        by=who(),
        source=str(arrival.folder),
        images=counts["images"],
        boxes=counts["boxes"],
        boxes_by_class=counts["boxes_by_class"],
        skipped=len(chosen.known) + len(chosen.repeated),
        digest=about["digest"][order.split],
    )


def _write(params: Params, data: DataSet, plan: Plan, log: Log, batch: Batch) -> None:
    target, written = data.batches / batch.name, _unfinished(data)
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = copy_batch(plan, target)
    with undisturbed():
        try:
            batch = replace(batch, frozen=_describe(params, data, written, batch))
            if data.tracked is None:
                version(target)
        except BaseException:
            if fresh:
                shutil.rmtree(target)
            written.unlink(missing_ok=True)
            raise
        write_log(data.log, log.with_batch(batch))
        written.replace(data.description)


def _unfinished(data: DataSet) -> Path:
    return data.description.with_name(f".{data.description.name}.unfinished")


def _describe(params: Params, data: DataSet, written: Path, batch: Batch) -> str:
    """Write the new description to ``written`` and read it; the split's digest, but for train."""
    there = data.description.exists()
    text = data.description.read_text(encoding="utf-8-sig") if there else extension_text(data)
    write_text(written, with_entry(text, batch.split, data.entry(batch.name)))
    found = read_description(written)
    before = {split: len(paths) for split, paths in data.now.images.items()}
    after = {split: len(paths) for split, paths in found.images.items()}
    if after != before | {batch.split: before.get(batch.split, 0) + batch.images}:
        raise ValueError(
            f"{data.description}: with the batch its splits would have {after} images instead of"
            f" {before} and {batch.images} more: let it name folders that do not hold"
            f" {data.batches}"
        )
    if batch.split == "train":
        return ""
    one = replace(found, images={batch.split: found.images[batch.split]})
    return frozen_now(read_tables(one, params.validate))[batch.split]


def _settle(params: Params, data: DataSet) -> None:
    """What comes after the description; done each time, for what a killed ``add`` left out."""
    if not data.description.exists():
        return
    if params.data != data.config:
        use_data(PARAMS, data.config)
    if data.tracked is not None:
        try:
            version(data.tracked.path)
        except ValueError as error:
            raise ValueError(
                f"{data.tracked.path} has the new images, but DVC has no version of it yet; give"
                f" the same command again. {error}"
            ) from None
