"""The kinds of inputs that a detector works through, and what each of them is called."""

import os
from dataclasses import dataclass
from pathlib import Path

VIDEO_SUFFIXES = frozenset(
    {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv"}
)
"""Endings that are taken for a video."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageInput:
    """An image: a file or its bytes.

    ``name`` is its path below the folder that all inputs share, with ``/`` between the parts:
    what its results are called, and no other input's name.
    """

    name: str
    content: Path | bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoInput:
    """A video file, or the camera of that number; ``name`` as of ``ImageInput``."""

    name: str
    content: Path | int


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreadable:
    """An input, or the rest of one, that cannot be read; ``problem`` is a sentence naming it."""

    name: str
    problem: str


Input = ImageInput | VideoInput | Unreadable


def is_live(one: Input) -> bool:
    """Whether it is a camera, which has no end."""
    return isinstance(one, VideoInput) and isinstance(one.content, int)


def file_input(name: str, path: Path) -> Input:
    """The file as an input called ``name``; unreadable if that is not UTF-8.

    No table and no label file could say what was found in it; of a video the whole path has to
    be UTF-8, as OpenCV crashes at any other.
    """
    is_video = path.suffix.lower() in VIDEO_SUFFIXES
    told = str(path) if is_video else name
    if printable(told) != told:
        problem = f"{printable(path)}: the name is not UTF-8, so that results could not carry it"
        return Unreadable(name=printable(name), problem=f"{problem}: rename it")
    return VideoInput(name=name, content=path) if is_video else ImageInput(name=name, content=path)


def printable(name: str | Path) -> str:
    r"""The name as text that can be printed and encoded: bytes that are not UTF-8 as ``\xe9``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
