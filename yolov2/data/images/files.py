"""Which images the splits of a data set description name."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

IMAGE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".jp2", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp"}
)
"""File endings (in lower case) that are taken for images."""

SIDE_SUFFIXES = frozenset(
    {".cache", ".csv", ".db", ".html", ".ini", ".json", ".md", ".npy", ".txt", ".xml"}
    | {".yaml", ".yml"}
)
"""Endings that tools leave beside images (lists, caches, other annotation forms): passed over."""


class NothingThereError(ValueError):
    """An entry of a split names nothing that exists, or nothing with images in it."""


def locate(root: Path, entry: str) -> Path | None:
    """The file or folder that ``entry`` of a split names below ``root``; ``None``: there is none.

    An entry that starts with ``../`` is looked for as written, then without it.
    """
    for name in (entry, entry.removeprefix("../")):
        path = os.path.normpath(root / name)
        if os.path.exists(path):
            return Path(path)
    return None


def list_images(entries: Sequence[str], root: Path) -> tuple[Path, ...]:
    """Absolute paths, sorted, of the images of a split, with links in ``root`` resolved.

    Each entry is a folder, searched with its subfolders, or a ``.txt`` file with one image path
    a line. Hidden files and files with an ending of ``SIDE_SUFFIXES`` are passed over in a
    folder; any other file that is no image is an error rather than left out silently. Links
    are followed; whether a file exists and can be decoded is not looked at.

    Raises:
        NothingThereError: an entry that is missing or empty.
        ValueError: a file that is no image, an image outside ``root`` or named twice.
    """
    names: list[str] = []
    for entry in entries:
        source = locate(root, entry)
        if source is None:
            missing = f"'{entry}' not found under the data root {root}"
            raise NothingThereError(missing + as_hint(from_windows(entry)))
        if not (source.is_dir() or source.resolve().is_relative_to(root.resolve())):
            raise ValueError(f"the list '{source}' lies outside the data root {root}")
        found = _images_of(source, root)
        if not found:
            raise NothingThereError(f"no images in '{source}'")
        names += found
    below = sorted(_below(root, names))
    _refuse_undecodable(below)
    for name, after in pairwise(below):
        if name == after:
            raise ValueError(f"names the image '{name}' twice")
    return tuple(Path(name) for name in below)


def from_windows(path: str) -> str:
    """What is to be done about a path that looks like one of Windows; else nothing."""
    if re.match(r"[A-Za-z]:[\\/]", path):
        return (
            f"'{path}' is a path on a Windows machine: write the one from the data root, with '/'"
        )
    return f"'{path}' has Windows's backslashes: write '/'" if "\\" in path else ""


def as_hint(text: str) -> str:
    """``text`` as the end of a sentence, if there is any."""
    return f": {text}" if text else ""


def nothing_there(entries: Sequence[str], root: Path) -> bool:
    """Whether not one of the ``entries`` of a split has images."""
    for entry in entries:
        try:
            list_images([entry], root)
        except NothingThereError:
            continue
        return False
    return True


def _below(root: Path, names: Iterable[str]) -> Iterable[str]:
    """``names`` with the data root free of links in front."""
    real = str(root.resolve()) + os.sep
    prefixes = {str(root) + os.sep, real}
    for name in names:
        prefix = next((prefix for prefix in prefixes if name.startswith(prefix)), None)
        if prefix is None:
            raise ValueError(f"the image '{name}' lies outside the data root {root}")
        yield real + name[len(prefix) :]


def _refuse_undecodable(names: Sequence[str]) -> None:
    try:
        "".join(names).encode()
    except UnicodeEncodeError:
        bad = next(name for name in names if any("\ud800" <= c <= "\udfff" for c in name))
        raise ValueError(f"the name of the image {bad!a} is not UTF-8: rename it") from None


def _images_of(source: Path, root: Path) -> list[str]:
    if source.is_dir():
        names = [name for name in _walk(source) if _is_candidate(name)]
    elif source.suffix.lower() == ".txt":
        names = list(_listed(source, root))
    else:
        raise ValueError(f"'{source}' is neither a folder nor a .txt list of images")
    for name in names:
        if os.path.splitext(name)[1].lower() not in IMAGE_SUFFIXES:
            known = " ".join(sorted(IMAGE_SUFFIXES))
            raise ValueError(f"'{name}' does not end like an image ({known}): convert or remove it")
    return names


def _is_candidate(path: str) -> bool:
    name = os.path.basename(path)
    return not name.startswith(".") and os.path.splitext(name)[1].lower() not in SIDE_SUFFIXES


def _walk(folder: Path) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise error

    for current, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        here = os.path.realpath(current) + os.sep
        # a link to a folder that it lies in would be followed without end
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and not here.startswith(os.path.realpath(os.path.join(current, name)) + os.sep)
        ]
        yield from (os.path.join(current, name) for name in files)


def _listed(source: Path, root: Path) -> Iterator[str]:
    try:
        text = source.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"'{source}' is not a UTF-8 text file: save it as UTF-8") from None
    numbered = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, line) for number, line in numbered if line]
    relative = [
        (number, line)
        for number, line in lines
        if not os.path.isabs(line) and not line.startswith("./")
    ]
    base = _base(relative, source, root) if relative else ""
    for _, line in lines:
        folder = str(source.parent) if line.startswith("./") else base
        yield os.path.normpath(os.path.join(folder, line))


def _base(lines: Sequence[tuple[int, str]], source: Path, root: Path) -> str:
    """Folder that bare relative lines belong to: where the first one is found, else the root.

    Raises:
        ValueError: naming file and line: a path of Windows, or a folder too many in each of them.
    """
    folders = [os.getcwd(), str(root), str(source.parent)]

    def found(line: str) -> list[str]:
        return [folder for folder in folders if os.path.exists(os.path.join(folder, line))]

    for number, line in lines:
        if (hint := from_windows(line)) and not found(line):
            raise ValueError(f"{source}:{number}: {hint} (sed -i 's#[\\]#/#g' {source})")
    number, first = lines[0]
    if places := found(first):
        return places[0]
    for start in range(1, first.count("/") + 1):
        rest = first.split("/", start)[-1]
        if found(rest) and not any(found(line) for _, line in lines):
            surplus = first.removesuffix(rest)
            raise ValueError(
                f"{source}:{number}: '{first}' is not there, but '{rest}' is: '{surplus}' too many"
                f" (CVAT begins each line with data/): sed -i 's#^{surplus}##' {source}"
            )
    return str(root)
