"""Which images of an arrival a data set has already, and which must not come in.

An image that another split has would let a model learn what it is scored on (or be scored on what
it has learnt). It is looked for by the file's bytes and, as it may have been saved again without
loss, by its decoded pixels; a copy that was scaled or compressed anew is not found.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.data.arrival import SHOWN, Arrival
from yolov2.data.images.pixels import read_pixels
from yolov2.data.table import LabelTables

Boxes = tuple[tuple[float, ...], ...]
BOX = ["class_id", "cx", "cy", "w", "h"]


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """Images of an arrival: ``new`` ones, and those that the split has with the same labels.

    ``repeated`` are in the arrival more than once, with the same labels; one of each is new.
    """

    new: tuple[str, ...]
    known: tuple[str, ...]
    repeated: tuple[str, ...]


def sort_images(arrival: Arrival, existing: LabelTables, root: Path, split: str) -> Sorted:
    """Sort the images of ``arrival`` by what ``existing``, whose data root is ``root``, has.

    Raises:
        ValueError: images that another split has, or that are there with other labels; each pair
            is named, with what to do.
    """
    others = existing.images[existing.images["split"] != split]
    leaked = [
        f"  {arrival.folder / image} = {root / match}"
        for image, match in _shared(arrival, others, root)
    ]
    if leaked:
        raise ValueError(
            f"{len(leaked)} images are in another split of the data set than {split}; with them its"
            f" score would say nothing:\n{_listed(leaked)}\nremove them from {arrival.folder}"
            " (images and label files), and add it again"
        )
    have, boxes = _by_md5(existing.images, split), boxes_of(existing.labels)
    mine = boxes_of(arrival.tables.labels)
    new: dict[str, str] = {}  # first image of these bytes in the arrival
    known: list[str] = []
    repeated: list[str] = []
    disputed: list[str] = []
    for image, md5 in arrival.tables.images[["image", "md5"]].itertuples(index=False):
        other = have.get(md5)
        match = new.setdefault(md5, image) if other is None else other
        theirs = mine.get(match) if other is None else boxes.get(match)
        if match != image or other is not None:
            if theirs != mine.get(image):
                place = arrival.folder if other is None else root
                disputed.append(f"  {arrival.folder / image} = {place / match}")
            (repeated if other is None else known).append(image)
    if disputed:
        raise ValueError(
            f"{len(disputed)} images are there already, with other labels:\n{_listed(disputed)}\n"
            "keep one set of labels: correct those of the data set and remove the image from"
            f" {arrival.folder}, or remove the image there"
        )
    return Sorted(new=tuple(new.values()), known=tuple(known), repeated=tuple(repeated))


def boxes_of(labels: pd.DataFrame) -> Mapping[str, Boxes]:
    """Class and box of each object of each image that has any, sorted, by the image's name."""
    found: dict[str, list[tuple[float, ...]]] = {}
    for image, *box in labels[["image", *BOX]].itertuples(index=False):
        found.setdefault(image, []).append(tuple(box))
    return {image: tuple(sorted(boxes)) for image, boxes in found.items()}


def _by_md5(images: pd.DataFrame, split: str) -> dict[str, str]:
    rows = images[images["split"] == split]
    return dict(zip(rows["md5"], rows["image"], strict=True))


def _shared(arrival: Arrival, others: pd.DataFrame, root: Path) -> Iterator[tuple[str, str]]:
    """Pairs of an image of the arrival and one of ``others`` with the same bytes or pixels."""
    images = arrival.tables.images
    by_bytes = dict(zip(others["md5"], others["image"], strict=True))
    same = images["md5"].isin(by_bytes)
    for image, md5 in images.loc[same, ["image", "md5"]].itertuples(index=False):
        yield image, by_bytes[md5]
    rest = images[~same]
    sizes = set(rest[["width", "height"]].itertuples(index=False, name=None))
    alike = others[[size in sizes for size in zip(others["width"], others["height"], strict=True)]]
    if alike.empty:
        return
    by_pixels = dict(zip(_pixels(root, alike["image"]), alike["image"], strict=True))
    for image, pixels in zip(rest["image"], _pixels(arrival.folder, rest["image"]), strict=True):
        if pixels in by_pixels:
            yield image, by_pixels[pixels]


def _pixels(root: Path, images: Iterable[str]) -> Iterator[str]:
    def digest(image: str) -> str:
        pixels = read_pixels(root / image)
        return hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()

    with ThreadPoolExecutor() as pool:
        yield from pool.map(digest, images)


def _listed(lines: list[str]) -> str:
    more = len(lines) - SHOWN
    return "\n".join(lines[:SHOWN] + ([f"  … and {more} more"] if more > 0 else []))
