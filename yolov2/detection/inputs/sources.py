"""What to look at: images and videos named by a file, folder, pattern, list or camera number."""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from yolov2.config.section import require
from yolov2.data.images.files import IMAGE_SUFFIXES
from yolov2.detection.inputs.kinds import VIDEO_SUFFIXES, Input, VideoInput, file_input, printable
from yolov2.detection.inputs.web import is_address

PICTURE_SUFFIXES = IMAGE_SUFFIXES | {".gif"}
"""Endings that are taken for an image; of an animation the first picture counts."""

LIST_SUFFIX = ".txt"


def find_inputs(
    sources: Sequence[str], *, recursive: bool = False, apart: Path | None = None
) -> list[Input]:
    """The images and videos that ``sources`` name, those of a folder or pattern by name.

    A source is a file, a folder (with its subfolders if ``recursive``, but without ``apart``),
    a pattern with ``*``, ``?`` or ``[``, a ``.txt`` list with a path a line (addresses in it are
    passed over: see ``gather``), or the number of a camera. A file is an image whatever its name,
    unless that ends like a video's. One whose name is not UTF-8 is ``Unreadable``.

    Raises:
        ValueError: a source names nothing, or two name the same file.
    """
    paths: list[Path] = []
    bases: list[str] = []
    cameras: list[Input] = []
    for source in sources:
        if source.isdecimal() and not Path(source).exists():
            cameras.append(VideoInput(name=f"camera{int(source)}", content=int(source)))
        elif Path(source).is_dir():
            paths += _of_folder(Path(source), recursive=recursive, apart=apart)
            bases.append(os.path.abspath(source))
        else:
            files = _files(source)
            paths += files
            bases += {os.path.dirname(os.path.abspath(file)) for file in files}
    require(
        not cameras or (len(cameras) == 1 and not paths),
        "a camera is looked at alone: name it as the only source",
    )
    return cameras or _named(paths, bases)


def find_images(source: Path) -> list[Path]:
    """The image file ``source``, or the images directly in the folder ``source``, by name.

    A file is taken whatever its name; in a folder the suffix decides.

    Raises:
        ValueError: nothing is there, or the folder has no images.
    """
    if source.is_file():
        return [source]
    require(source.is_dir(), f"no such image or folder: {source}")
    images = [path for path in _entries(source) if path.suffix.lower() in IMAGE_SUFFIXES]
    _require_some(images, source, IMAGE_SUFFIXES, recursive=False)
    return images


def _of_folder(folder: Path, *, recursive: bool, apart: Path | None) -> list[Path]:
    if recursive:
        without = None if apart is None else apart.resolve()
        files = [path for each in _folders(folder, without) for path in _entries(each)]
    else:
        files = _entries(folder)
    found = [path for path in files if _is_wanted(path)]
    _require_some(found, folder, PICTURE_SUFFIXES | VIDEO_SUFFIXES, recursive=recursive)
    return found


def _files(source: str) -> list[Path]:
    """The files of a source that is no folder."""
    path = Path(source)
    if names := lines_of(source):
        return list(_listed(path, names))
    if path.is_file():
        return [path]
    if glob.has_magic(source):
        matches = (Path(name) for name in sorted(glob.glob(source, recursive=True)))
        found = [match for match in matches if _is_wanted(match) and not match.is_dir()]
        require(bool(found), f"no image or video matches the pattern {source}")
        return found
    raise ValueError(f"no such image, video, folder or list: {source}")


def lines_of(source: str) -> list[str]:
    """What a source that is a list names, a line each; nothing if it is none.

    Raises:
        ValueError: the list is empty or not UTF-8.
    """
    path = Path(source)
    if path.suffix.lower() != LIST_SUFFIX or not path.is_file():
        return []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{source}: a list of images must be UTF-8 text") from None
    names = [line.strip() for line in lines if line.strip()]
    require(bool(names), f"{source}: the list is empty; it needs an image path a line")
    return names


def _listed(source: Path, names: Iterable[str]) -> Iterator[Path]:
    """The paths of a list; a relative one counts from here, else from the list's folder."""
    for name in names:
        if not is_address(name):
            beside = source.parent / name
            yield beside if not os.path.exists(name) and beside.exists() else Path(name)


def _named(paths: Sequence[Path], bases: Sequence[str]) -> list[Input]:
    """The paths with their names below the folder that ``bases`` share."""
    base = os.path.commonpath(bases)
    start = len(base.rstrip(os.sep)) + 1
    named: dict[str, Input] = {}
    for path in paths:
        name = os.path.abspath(path)[start:].replace(os.sep, "/")
        require(name not in named, f"{printable(path)} is named twice among the sources")
        named[name] = file_input(name, path)
    return list(named.values())


def _folders(folder: Path, without: Path | None) -> Iterator[Path]:
    """The folder and those below it, without hidden ones and without ``without``."""
    for current, below, _ in os.walk(folder):
        here = Path(current)
        below[:] = sorted(
            name
            for name in below
            if not name.startswith(".") and (here / name).resolve() != without
        )
        yield here


def _entries(folder: Path) -> list[Path]:
    """Files of a folder by name, without hidden ones; a broken link is for its reader to say."""
    with os.scandir(folder) as entries:
        names = [
            entry.name
            for entry in entries
            if not entry.name.startswith(".")
            and (entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path)))
        ]
    return [folder / name for name in sorted(names)]


def _is_wanted(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES | VIDEO_SUFFIXES


def _require_some(
    found: Sequence[Path], folder: Path, suffixes: Iterable[str], *, recursive: bool
) -> None:
    if found:
        return
    known = " ".join(sorted(suffixes))
    if recursive:
        raise ValueError(f"no images ({known}) in {folder} or below it")
    below = sorted({path.parent for path in folder.rglob("*") if path.suffix.lower() in suffixes})
    hint = f"; {below[0]} has some" if below else ""
    raise ValueError(f"no images ({known}) directly in {folder}{hint}")
