"""What the results of an input are called: no two inputs the same."""

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from yolov2.detection.inputs.kinds import Input, VideoInput, fitting
from yolov2.detection.stream import Detected

DRAWN_AS_THEY_ARE = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Formats that every Pillow writes; the copy of any other file is a JPEG."""

VIDEO_SUFFIX = ".mp4"
UNSAFE = re.compile(r'[\x00-\x1f/\\:*?"<>|]')
"""Characters that no file name may have on one system or another."""


class Names:
    """Paths of results below the output folder, from the names of all inputs."""

    def __init__(self, inputs: Iterable[Input]) -> None:
        is_video = {one.name: isinstance(one, VideoInput) for one in inputs}
        self._drawn: dict[str, str] = {}
        self._partial: dict[str, str] = {}
        taken = set(is_video)
        for name, video in is_video.items():
            suffix = PurePosixPath(name).suffix.lower()
            if video:
                whole = name if suffix == VIDEO_SUFFIX else _free(name, VIDEO_SUFFIX, taken)
                stem = whole[: -len(VIDEO_SUFFIX)]
                self._partial[name] = _free(stem, f".partial{VIDEO_SUFFIX}", taken)
            else:
                whole = name if suffix in DRAWN_AS_THEY_ARE else _free(name, ".jpg", taken)
            self._drawn[name] = whole
        self._keeps_ending, self._between = False, "_"
        self._keeps_ending = self._meets(is_video)
        while self._meets(is_video):
            self._between += "_"

    def drawn(self, name: str) -> str:
        """Of the image or video with boxes: its own name, with ``.jpg`` or ``.mp4`` after another.

        That is the ending of an image whose format not every Pillow writes, and of a video.
        """
        return self._drawn[name]

    def partial(self, name: str) -> str:
        """Of the video with boxes until it is whole: its ending tells OpenCV what to write."""
        return self._partial[name]

    def bare(self, found: Detected, ending: str) -> str:
        """Without its own ending, with the frame's number and ``ending``.

        The own ending stays, for all inputs of a run, if ``a.jpg`` would meet ``a.png`` in it, or
        ``a_000001.jpg`` a frame of ``a.mp4``.
        """
        stem = self._stem(found.name)
        if found.video is not None:
            stem += f"{self._between}{found.video.frame:06d}"
        return _fitting(stem, ending)

    def _stem(self, name: str) -> str:
        return name if self._keeps_ending else str(PurePosixPath(name).with_suffix(""))

    def _meets(self, is_video: Mapping[str, bool]) -> bool:
        """Whether two results would have one name."""
        stems = {self._stem(name) for name in is_video}
        videos = {self._stem(name) for name, video in is_video.items() if video}
        frames = (re.fullmatch(rf"(.*){self._between}\d{{6,}}", stem, re.DOTALL) for stem in stems)
        return len(stems) < len(is_video) or any(one and one[1] in videos for one in frames)


def _free(stem: str, ending: str, taken: set[str]) -> str:
    """A path of ``stem`` and ``ending`` that is not ``taken``; it is from now on."""
    while (path := _fitting(stem, ending)) in taken:
        stem += "_"
    taken.add(path)
    return path


def _fitting(stem: str, ending: str) -> str:
    folder, slash, last = stem.rpartition("/")
    return f"{folder}{slash}{fitting(last, ending)}"


def folder_name(class_name: str) -> str:
    """The class name as the name of a folder."""
    safe = UNSAFE.sub("_", class_name).strip(" .")
    return fitting(safe) or "_"
