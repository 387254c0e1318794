"""The kinds of inputs that a detector works through, and what each of them is called."""

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

VIDEO_SUFFIXES = frozenset(
    {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv"}
)
"""Endings that are taken for a video."""

MOST_BYTES_OF_A_NAME = 255
"""Of a file or folder, on every usual file system."""

LONGEST_ENDING = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageInput:
    """An image: a file or its bytes.

    ``name`` is its path below the folder that all inputs share, with ``/`` between the parts:
    what its results are called, and no other input's name. ``origin`` is what a person calls it,
    if that is not the file: an address. ``note`` is what a person should know about it.
    """

    name: str
    content: Path | bytes
    origin: str = ""
    note: str = ""

    def unreadable(self, problem: str) -> "Unreadable":
        """This input with its problem, a sentence that begins with the file."""
        if isinstance(self.content, bytes):
            return Unreadable(name=self.name, problem=problem.replace("image", self.name, 1))
        return _unreadable(self.name, self.content, self.origin, problem)


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoInput:
    """A video file, or the camera of that number; the rest as of ``ImageInput``."""

    name: str
    content: Path | int
    origin: str = ""
    note: str = ""

    def unreadable(self, problem: str) -> "Unreadable":
        """See ``ImageInput``."""
        return _unreadable(self.name, self.content, self.origin, problem)


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


def _unreadable(name: str, content: Path | int, origin: str, problem: str) -> Unreadable:
    told = problem.replace(str(content), origin, 1) if origin else problem
    return Unreadable(name=name, problem=told)


def fitting(stem: str, ending: str = "") -> str:
    """``stem`` and ``ending`` as the name of a file, however long the stem is.

    A stem that is too long is cut, and told from its like by a hash of the whole.
    """
    if len((stem + ending).encode()) <= MOST_BYTES_OF_A_NAME:
        return stem + ending
    if len(ending.encode()) > LONGEST_ENDING:  # a dot somewhere in a long name
        stem, ending = stem + ending, ""
    end = f"~{sha256(stem.encode()).hexdigest()[:8]}{ending}"
    room = MOST_BYTES_OF_A_NAME - len(end.encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + end


def printable(name: str | Path) -> str:
    r"""The name as text that can be printed and encoded: bytes that are not UTF-8 as ``\xe9``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
