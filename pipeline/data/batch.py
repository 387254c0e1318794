"""A batch of new images on its way into the data set: complete in its folder, or not there."""

import filecmp
import hashlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.data.arrival import Arrival, place_in_batch
from pipeline.data.data_set import DataSet
from pipeline.data.duplicates import Sorted
from yolov2.data.table import LabelTables

UNFINISHED = ".unfinished"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be copied: source by place in the batch; ``md5`` of each image, by place.

    ``tables`` are the label tables of these images alone.
    """

    files: Mapping[str, Path]
    md5: Mapping[str, str]
    tables: LabelTables


def plan_batch(arrival: Arrival, chosen: Sorted) -> Plan:
    """The batch that the new images of ``arrival`` make.

    Raises:
        ValueError: two files would get the same place.
    """
    files: dict[str, Path] = {}
    md5 = {}
    images, labels = arrival.tables.images, arrival.tables.labels
    new = images[images["image"].isin(chosen.new)]
    for image, digest in new[["image", "md5"]].itertuples(index=False):
        place, label_place = place_in_batch(image)
        md5[place] = digest
        pairs = [(place, arrival.folder / image)]
        if image in arrival.labels:
            pairs.append((label_place, arrival.labels[image]))
        for target, source in pairs:
            if files.setdefault(target, source) != source:
                raise ValueError(
                    f"{files[target]} and {source} would both become {target}: rename one of them"
                )
    tables = LabelTables(
        images=new,
        labels=labels[labels["image"].isin(chosen.new)],
        class_names=arrival.tables.class_names,
    )
    return Plan(files=files, md5=md5, tables=tables)


def choose_name(data: DataSet, given: str | None, folder: Path, plan: Plan) -> str:
    """A name that no batch has: ``given``, else that of ``folder`` with a number if need be.

    The folder that a killed ``add`` of the same images has left keeps its name.

    Raises:
        ValueError: ``given`` is taken, or no name for a folder.
    """
    if given is not None:
        if not NAME.fullmatch(given):
            raise ValueError(f"--name must be letters, digits, '.', '_' and '-', not '{given}'")
        if not _is_free(data, given, plan):
            raise ValueError(
                f"--name {given}: {data.batches / given} is there already: take another name"
            )
        return given
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-._") or "batch"
    name, number = stem, 1
    while not _is_free(data, name, plan):
        number += 1
        name = f"{stem}-{number}"
    return name


def copy_batch(plan: Plan, target: Path) -> bool:
    """Copy the batch to ``target``, beside it first; False where a killed ``add`` has done it.

    Raises:
        ValueError: an image changed since it was read.
    """
    if target.exists():
        return False
    beside = target.parent / f"{UNFINISHED}-{target.name}"
    try:
        for place, source in plan.files.items():
            content = source.read_bytes()
            md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
            if plan.md5.get(place, md5) != md5:
                raise ValueError(f"{source} changed while it was read: add the folder again")
            path = beside / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        beside.rename(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return True


def clean(batches: Path) -> None:
    """Remove what a killed ``add`` left half copied."""
    for left in batches.glob(f"{UNFINISHED}-*"):
        shutil.rmtree(left)


def remove_sources(arrival: Arrival) -> None:
    """Remove the images of ``arrival`` that could be used, their labels, and empty folders."""
    for image in arrival.tables.images["image"]:
        (arrival.folder / image).unlink()
    for label in {arrival.labels.get(image) for image in arrival.tables.images["image"]}:
        if label is not None:
            label.unlink()
    left = [path for path in arrival.folder.rglob("*") if path.is_file()]
    if arrival.names_file is not None and left == [arrival.names_file]:
        arrival.names_file.unlink()
    folders = [path for path in arrival.folder.rglob("*") if path.is_dir()]
    for folder in sorted([*folders, arrival.folder], reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def _is_free(data: DataSet, name: str, plan: Plan) -> bool:
    target = data.batches / name
    if data.holds(name):
        return False
    return not target.exists() or _holds(target, plan)


def _holds(target: Path, plan: Plan) -> bool:
    """Whether a folder has the files of the batch and no others."""
    there = {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()}
    return there == set(plan.files) and all(
        filecmp.cmp(source, target / place, shallow=False) for place, source in plan.files.items()
    )
