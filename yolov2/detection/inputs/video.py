"""Videos and cameras, read and written by OpenCV, which is imported only here.

Letters of the shapes: H, W height and width in pixels.
"""

import os
import time
from contextlib import closing
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

from yolov2.data.images.reading import ImageError

DEFAULT_RATE = 25.0
"""Frames a second of a source that does not say."""

MISSING_SHARE = 0.1
"""A file that gives this share of its frames less than it announces is reported as damaged;
what a container announces may be an estimate."""

WRITABLE = range(2, 8192)
"""Pixels of a side of a video that OpenCV can write as MPEG-4."""


def opencv() -> ModuleType:
    """The module ``cv2``, told to keep its warnings and FFmpeg's to itself.

    Raises:
        ImageError: it is not installed.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        import cv2
    except ImportError:
        raise ImageError(
            "videos and cameras need OpenCV: pip install opencv-python-headless (or the extra"
            " yolov2-pipeline[video])"
        ) from None
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2


class VideoReader:
    """Frames of a video file, or of the camera of that number, as RGB images.

    Attributes:
        rate: frames a second.
        announced: how many frames the file says it has; None if it does not, and for a camera.

    Raises:
        ImageError: no such file or camera, or OpenCV cannot read it or is not installed.
    """

    def __init__(self, source: Path | int) -> None:
        self._source = source
        try:
            cv2 = self._cv2 = opencv()
        except ImageError as error:
            raise ImageError(f"{self._name}: {error}") from None
        if isinstance(source, Path):
            if not source.is_file():
                raise ImageError(f"{source}: no such video file")
            self._capture = cv2.VideoCapture(str(source))
        else:
            self._capture = cv2.VideoCapture(source)
        if not self._capture.isOpened():
            raise ImageError(self._unreadable())
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.rate = rate if 0.1 <= rate <= 1000 else DEFAULT_RATE
        self.announced = count if count > 0 and isinstance(source, Path) else None
        self.done = 0

    def read(self) -> Image.Image | None:
        """The next frame; None after the last.

        Raises:
            ImageError: the first frame is unreadable, or the video ends long before its end.
        """
        there, pixels = self._capture.read()  # (H, W, 3) BGR
        if not there:
            if self.done == 0:
                raise ImageError(self._unreadable())
            if self.announced and self.done < (1 - MISSING_SHARE) * self.announced:
                raise ImageError(
                    f"{self._source}: damaged, ends after {self.done} of {self.announced} frames"
                )
            return None
        self.done += 1
        return Image.fromarray(self._cv2.cvtColor(pixels, self._cv2.COLOR_BGR2RGB))

    def close(self) -> None:
        """Let go of the file or camera."""
        self._capture.release()

    @property
    def _name(self) -> str:
        return str(self._source) if isinstance(self._source, Path) else f"camera {self._source}"

    def _unreadable(self) -> str:
        if isinstance(self._source, Path):
            return f"{self._source}: not a video that OpenCV can read"
        known = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*")))
        return (
            f"{self._name} does not answer (cameras of this machine: {known or 'none'});"
            " another program may be using it"
        )


class VideoWriter:
    """An MP4 file that frames are written to, one after the other, all of the first's size.

    A ``live`` recording keeps the time that has passed: a frame is repeated or left out, so
    that it plays as fast as things happened.

    Raises:
        ValueError: OpenCV cannot write a video of this size, or there; nothing is left of it.
    """

    def __init__(self, path: Path, size: tuple[int, int], rate: float, *, live: bool) -> None:
        self._cv2 = opencv()
        self._path, self._size, self._rate, self._live = path, size, rate, live
        code = self._cv2.VideoWriter.fourcc(*"mp4v")
        self._writer = self._cv2.VideoWriter(str(path), code, rate, size)
        if not self._writer.isOpened():
            path.unlink(missing_ok=True)
            fits = all(side in WRITABLE for side in size)
            here = f"{path}: OpenCV cannot write a video there"
            sides = f"a side of its video has {WRITABLE.start} to {WRITABLE.stop - 1} pixels"
            raise ValueError(here if fits else f"{size[0]} x {size[1]} pixels; {sides}")
        self._started = time.perf_counter()
        self._written = 0

    def write(self, image: Image.Image) -> None:
        """Append an RGB image."""
        if image.size != self._size:
            image = image.resize(self._size, Image.Resampling.BILINEAR)
        pixels = self._cv2.cvtColor(np.asarray(image), self._cv2.COLOR_RGB2BGR)
        due = self._written + 1
        if self._live:
            due = 1 + round((time.perf_counter() - self._started) * self._rate)
        for _ in range(due - self._written):
            self._writer.write(pixels)
        self._written = max(due, self._written)

    def close(self) -> None:
        """Finish the file: without this nothing can play it.

        Raises:
            ValueError: it does not hold every frame (OpenCV says nothing of a full disk); nothing
                is left of it.
        """
        self._writer.release()
        try:
            with closing(VideoReader(self._path)) as video:
                there = video.announced or 0
        except ImageError:
            there = 0
        if there < self._written:
            self._path.unlink(missing_ok=True)
            raise ValueError(
                f"{there} of its {self._written} frames are in the file: is the disk full?"
            )
