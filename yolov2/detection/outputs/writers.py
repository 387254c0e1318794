"""The outputs that were asked for, in their places below one folder, each written as it comes."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from yolov2.config.section import require
from yolov2.detection.inputs.kinds import Input, Unreadable, printable
from yolov2.detection.outputs.coco_ids import CocoIds
from yolov2.detection.outputs.files import CropWriter, LabelWriter
from yolov2.detection.outputs.names import Names
from yolov2.detection.outputs.pictures import PictureWriter
from yolov2.detection.outputs.tables import TABLES
from yolov2.detection.outputs.tables import partial as table_partial
from yolov2.detection.outputs.whole import Unwritten, reason
from yolov2.detection.stream import Detected

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


class _NamedTable:
    """A table whose errors name its file, as a full disk's do not by themselves."""

    def __init__(self, table: Writer, path: Path) -> None:
        self._table, self._path = table, path

    def __call__(self, found: Detected) -> None:
        with self._named():
            self._table(found)

    def close(self, *, whole: bool) -> None:
        with self._named():
            self._table.close(whole=whole)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, reason(error), str(self._path)) from error


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
    unwritten: Unwritten,
    *,
    label_scores: bool,
) -> Iterator[list[Writer]]:
    """A writer of each kind; at the end they complete their files.

    What cannot be written of one input is ``unwritten``, and the rest goes on; a table is of all
    inputs, and ends the run.

    If that is an exception (Ctrl-C is one), tables and the video keep ``.partial`` in their names;
    drawn images, label files and crops are whole for each input that they are there of.
    """
    with ExitStack() as stack:
        writers: list[Writer] = []
        for kind in kinds:
            folder.mkdir(parents=True, exist_ok=True)
            place = folder / PLACES[kind]
            writer: Writer
            if kind == "drawn":
                writer = PictureWriter(place, names, unwritten)
            elif kind == "txt":
                writer = LabelWriter(place, names, unwritten, scores=label_scores)
            elif kind == "crops":
                writer = CropWriter(place, names, unwritten)
            else:
                writer = _NamedTable(TABLES[kind](place, ids), place)
            stack.push(partial(_close, writer))
            writers.append(writer)
        yield writers


def _close(writer: Writer, failure: type[BaseException] | None, *_: object) -> None:
    """As a context manager ends."""
    writer.close(whole=failure is None)


def _is_used(place: Path) -> bool:
    return any(place.iterdir()) if place.is_dir() else place.exists()
