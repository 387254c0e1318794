"""Data set descriptions in the Ultralytics form.

A ``.yaml`` with ``path`` (the data root; missing: the description's own folder), ``train``,
``val``, ``test`` (each a folder, a list of folders, or a ``.txt`` with image paths), ``names``
(a list, or a mapping from class number to name) and ``nc`` (their number). Other keys are not
read; ``download`` in particular is never executed.

A relative ``path`` is looked for below the working directory, then below the description's
folder, then below the datasets folder (``YOLOV2_DATASETS_DIR``, by default ``../datasets``); the
first of these folders that has most of the splits is the data root. A split that starts with
``../`` and does not exist is looked for without it, as data sets exported by Roboflow need.
"""

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from yolov2.config.data import DataConfig
from yolov2.data.class_names import read_class_names
from yolov2.data.description_file import DescriptionFile, read_description_file
from yolov2.data.images.files import as_hint, from_windows, list_images, locate, nothing_there
from yolov2.yaml_aliases import shown

SPLITS = ("train", "val", "test")
"""The splits in the order of the tables."""

IMAGES, LABELS = "images", "labels"
"""Folder of the images, and the folder beside it that holds their label files."""


@dataclass(frozen=True, kw_only=True)
class DataDescription:
    """What a description says, resolved.

    ``root`` is absolute and free of links; ``images`` has the absolute image paths of each split
    that is given, sorted. They lie below ``root``; whether they exist is not checked. ``notes``
    are what a person should know.
    """

    file: Path
    root: Path
    class_names: tuple[str, ...]
    images: dict[str, tuple[Path, ...]]
    notes: tuple[str, ...] = ()


def read_description(file: Path) -> DataDescription:
    """Read and check the description ``file`` and list the images of its splits.

    Exports of data sets name a test split whether they have one or not, and no training needs it:
    one of which nothing is there is noted and left out.

    Raises:
        ValueError: naming file, line, key and value: not YAML, no or contradicting class names,
            no split, a folder that does not exist or has no images, a file that is no image,
            an image outside the data root, twice in a split, or in two splits.
    """
    document = read_description_file(file)
    names = read_class_names(document)
    entries = {split: _entries(document, split) for split in SPLITS}
    entries = {split: given for split, given in entries.items() if given}
    if not entries:
        raise ValueError(f"{file}: no split: give at least train (a folder of images)")
    given_root = _find_root(document, [entry for given in entries.values() for entry in given])
    images, notes = {}, []
    for split, given in entries.items():
        try:
            images[split] = list_images(given, given_root)
        except ValueError as error:
            why = document.error(split, str(error))
            if split != "test" or not images or not nothing_there(given, given_root):
                raise why from None
            notes.append(f"{why}: the data set has no test split")
    _refuse_shared(document, images)
    return DataDescription(
        file=file,
        root=given_root.resolve(),
        class_names=names,
        images=images,
        notes=tuple(notes),
    )


def label_path(image: Path) -> Path:
    """Where the labels of ``image`` are: the last folder ``images`` -> ``labels``, ``.txt``.

    An image in no folder of that name has its label file beside it.
    """
    parts = list(image.parts[:-1])
    for index in reversed(range(len(parts))):
        if parts[index] == IMAGES:
            parts[index] = LABELS
            break
    return Path(*parts, image.stem + ".txt")


def watched_folder(config: DataConfig) -> Path:
    """Folder whose content DVC watches: ``data.root`` seen from the folder of ``data.config``."""
    return Path(os.path.abspath(Path(config.config).parent / config.root))


def root_seen_from(description: DataDescription) -> str:
    """The ``data.root`` of a data set: its root relative to the description's folder."""
    return Path(os.path.relpath(description.root, description.file.resolve().parent)).as_posix()


def check_watched(description: DataDescription, config: DataConfig) -> None:
    """Make sure that DVC sees every change of the data.

    Raises:
        ValueError: the data root lies outside the watched folder; the text has the
            ``data.root`` that is right.
    """
    watched = watched_folder(config)
    if description.root.is_relative_to(watched.resolve()):
        return
    right = root_seen_from(description)
    raise ValueError(
        f"data.root: '{config.root}' makes DVC watch {watched}, but {description.file} has its"
        f" data in {description.root}, where a change would go unnoticed: set data.root to"
        f" '{right}' in params.yaml (or {_setting('data.root', right)})"
    )


def _setting(name: str, value: str) -> str:
    """The option that gives DVC a path: beyond plain characters it wants quotes of its own."""
    if re.fullmatch(r"[A-Za-z0-9_./-]+", value):
        return f"-S {name}={value}"
    inner = value.replace("\\", r"\\").replace('"', r"\"")
    return "-S " + shlex.quote(f'{name}="{inner}"')


def _entries(document: DescriptionFile, split: str) -> list[str]:
    """What the description gives for ``split``; empty where it gives nothing."""
    value = document.values.get(split)
    if split == "val" and value is None:
        value = document.values.get("validation")
    entries = value if isinstance(value, list) else [value] if value not in (None, "") else []
    for entry in entries:
        if not isinstance(entry, str) or not entry.strip():
            number = not isinstance(entry, str | list | dict)
            raise document.error(
                split,
                f"must be a folder, a list of folders or a .txt file, not {shown(entry)}"
                + (": put it in quotes if that is its name" if number else ""),
            )
    return entries


def _find_root(document: DescriptionFile, entries: list[str]) -> Path:
    """The data root, absolute; links in it are kept, as images may be named through them."""
    own = Path(os.path.abspath(document.file.parent))
    value = document.values.get("path")
    if value in (None, ""):
        return own
    if not isinstance(value, str):
        raise document.error("path", f"must be a folder, not {shown(value)}")
    path = Path(value).expanduser()
    datasets = Path(os.environ.get("YOLOV2_DATASETS_DIR", "../datasets"))
    tried = [Path(os.path.abspath(base / path)) for base in (Path.cwd(), own, datasets)]
    tried = list(dict.fromkeys(tried))
    found = [folder for folder in tried if folder.is_dir()]
    if not found:
        places = ", ".join(str(folder) for folder in tried)
        raise document.error(
            "path",
            f"folder '{value}' not found; looked for {places}: put the data there or correct path"
            f" (nothing is downloaded){as_hint(from_windows(value))}",
        )

    def held(folder: Path) -> int:
        return sum(locate(folder, entry) is not None for entry in entries)

    return max(found, key=held)  # the first of those that hold most


def _refuse_shared(document: DescriptionFile, images: dict[str, tuple[Path, ...]]) -> None:
    seen: dict[Path, str] = {}
    for split, paths in images.items():
        shared = [path for path in paths if path in seen]
        if shared:
            other = seen[shared[0]]
            raise document.error(
                split,
                f"{len(shared)} images are also in {other}, the first is '{shared[0]}': give each"
                " split images of its own, or its score says nothing",
            )
        seen |= dict.fromkeys(paths, split)
