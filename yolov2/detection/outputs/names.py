"""What the results of an input are called: no two inputs the same."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from yolov2.detection.stream import Detected

DRAWN_AS_THEY_ARE = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Formats that every Pillow writes; the copy of any other file is a JPEG."""

VIDEO_SUFFIX = ".mp4"
UNSAFE = re.compile(r'[\x00-\x1f/\\:*?"<>|]')
"""Characters that no file name may have on one system or another."""


class Names:
    """Paths of results below the output folder, from the names of all inputs."""

    def __init__(self, inputs: Iterable[str]) -> None:
        self._inputs = frozenset(inputs)
        bare = {str(PurePosixPath(name).with_suffix("")) for name in self._inputs}
        self._bare_is_unique = len(bare) == len(self._inputs)

    def drawn(self, name: str) -> str:
        """Of the image with boxes: its own name, with ``.jpg`` after one of another format."""
        suffix = PurePosixPath(name).suffix.lower()
        return name if suffix in DRAWN_AS_THEY_ARE else self._free(name, ".jpg")

    def video(self, name: str) -> str:
        """Of the video with boxes."""
        return name if name.lower().endswith(VIDEO_SUFFIX) else self._free(name, VIDEO_SUFFIX)

    def bare(self, found: Detected) -> str:
        """Without ending, with the frame's number.

        The ending stays, for all images of a run, if ``a.jpg`` would meet ``a.png`` in it.
        """
        name = found.name
        if self._bare_is_unique:
            name = str(PurePosixPath(name).with_suffix(""))
        return name if found.video is None else f"{name}_{found.video.frame:06d}"

    def _free(self, name: str, suffix: str) -> str:
        candidate = name + suffix
        while candidate in self._inputs:
            candidate = f"{candidate.removesuffix(suffix)}_{suffix}"
        return candidate


def folder_name(class_name: str) -> str:
    """The class name as the name of a folder."""
    safe = UNSAFE.sub("_", class_name).strip(" .")
    return safe or "_"
