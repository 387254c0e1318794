"""The outputs that were asked for, in their places below one folder, each written as it comes."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from yolov2.detection.inputs import Input, Unreadable, printable
from yolov2.detection.outputs.coco_ids import CocoIds
from yolov2.detection.outputs.files import CropWriter, LabelWriter
from yolov2.detection.outputs.names import Names
from yolov2.detection.outputs.pictures import PictureWriter
from yolov2.detection.outputs.tables import TABLES
from yolov2.detection.outputs.tables import partial as table_partial
from yolov2.detection.stream import Detected
from yolov2.section import require

PLACES = {
    "drawn": "drawn",
    "json": "detections.json",
    "csv": "detections.csv",
    "parquet": "detections.parquet",
    "txt": "labels",
    "crops": "crops",
}
"""Where each kind goes: a file, or a folder in which the names of the inputs are kept."""


class Writer(Protocol):
    """What takes the results one after the other."""

    def __call__(self, found: Detected) -> None:
        """Write one."""

    def close(self, *, whole: bool) -> None:
        """Complete what was written; not ``whole``: the run ended before its inputs did."""


def require_room(
    folder: Path, kinds: Sequence[str], inputs: Sequence[Input], *, overwrite: bool
) -> None:
    """Raise ``ValueError`` if a result would replace an input, or what is there unasked."""
    require(
        printable(folder) == str(folder),
        f"--output-dir {printable(folder)}: the name is not UTF-8; choose another",
    )
    places = [folder / PLACES[kind] for kind in kinds]
    kept = [table_partial(place) for place in places]  # of a run that was interrupted
    full = [place for place in (*places, *kept) if _is_used(place)]
    require(
        overwrite or not full,
        f"{full[0] if full else folder} exists: name another --output-dir, or replace results of"
        " the same name with --overwrite",
    )
    files = [one.content for one in inputs if not isinstance(one, Unreadable)]
    parents = {file.parent for file in files if isinstance(file, Path)}
    for parent in parents:
        inside = [place for place in places if parent.resolve().is_relative_to(place.resolve())]
        require(
            not inside,
            f"{inside[0] if inside else ''} holds source images, which are never replaced: name"
            " another --output-dir",
        )


@contextmanager
def open_writers(
    folder: Path,
    kinds: Sequence[str],
    names: Names,
    ids: CocoIds,
    *,
    label_scores: bool,
) -> Iterator[list[Writer]]:
    """A writer of each kind; at the end they complete their files.

    If that is an exception (Ctrl-C is one), tables and the video keep ``.partial`` in their names;
    drawn images, label files and crops are whole for each input that they are there of.
    """
    with ExitStack() as stack:
        writers: list[Writer] = []
        for kind in kinds:
            folder.mkdir(parents=True, exist_ok=True)
            writer = _writer(kind, folder / PLACES[kind], names, ids, label_scores=label_scores)
            stack.push(partial(_close, writer))
            writers.append(writer)
        yield writers


def _close(writer: Writer, failure: type[BaseException] | None, *_: object) -> None:
    """As a context manager ends."""
    writer.close(whole=failure is None)


def _writer(kind: str, place: Path, names: Names, ids: CocoIds, *, label_scores: bool) -> Writer:
    if kind == "drawn":
        return PictureWriter(place, names)
    if kind == "txt":
        return LabelWriter(place, names, scores=label_scores)
    if kind == "crops":
        return CropWriter(place, names)
    return TABLES[kind](place, ids)


def _is_used(place: Path) -> bool:
    return any(place.iterdir()) if place.is_dir() else place.exists()
