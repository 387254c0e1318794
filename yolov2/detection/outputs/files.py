"""A label file for each image, and the found objects cut out."""

import math
from pathlib import Path

from PIL import Image

from yolov2.detection.background import Background, default_workers
from yolov2.detection.outputs.names import Names, folder_name
from yolov2.detection.outputs.whole import Unwritten, write_image, write_whole
from yolov2.detection.stream import Detected

WAITING = 32
"""Images whose crops are yet to be written, at most."""

QUALITY = 92


class LabelWriter:
    """``<image>.txt`` in the Ultralytics form: class cx cy width height, shares of the image.

    With ``scores`` each line ends with the score. An image without detections has an empty
    file: it was looked at.
    """

    def __init__(self, folder: Path, names: Names, unwritten: Unwritten, *, scores: bool) -> None:
        self._folder, self._names, self._scores = folder, names, scores
        self._unwritten = unwritten

    def __call__(self, found: Detected) -> None:
        """Write the image's file."""
        with self._unwritten.noted(found.name, "its labels"):
            path = self._folder / self._names.bare(found, ".txt")
            write_whole(path, self._lines(found).encode())

    def _lines(self, found: Detected) -> str:
        width, height = found.image.size
        lines = []
        class_ids = found.detections.class_ids.tolist()
        for class_id, ((x1, y1, x2, y2), score, _) in zip(class_ids, found.detections, strict=True):
            shares = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width
            numbers = (*shares, (y2 - y1) / height, *((score,) if self._scores else ()))
            lines.append(" ".join((str(class_id), *(f"{number:.6f}" for number in numbers))))
        return "".join(f"{line}\n" for line in lines)

    def close(self, *, whole: bool) -> None:
        """Nothing is left to do: each file is whole."""


class CropWriter:
    """``<class>/<image>-<number>.jpg``: the pixels within each box, numbered by score from 1."""

    def __init__(self, folder: Path, names: Names, unwritten: Unwritten) -> None:
        self._folder, self._names, self._unwritten = folder, names, unwritten
        self._background = Background(workers=default_workers(), waiting=WAITING)

    def __call__(self, found: Detected) -> None:
        """Have the image's objects written."""
        self._background(self._write, found)

    def close(self, *, whole: bool) -> None:
        """Wait for the last of them, each of which is whole."""
        self._background.close()

    def _write(self, found: Detected) -> None:
        with self._unwritten.noted(found.name, "its objects"):
            for number, (box, _, class_name) in enumerate(found.detections, start=1):
                name = self._names.bare(found, f"-{number}.jpg")
                path = self._folder / folder_name(class_name) / name
                write_image(path, crop(found.image, box), quality=QUALITY)


def crop(image: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    """The pixels that the box touches, at least one."""
    left = min(math.floor(box[0]), image.width - 1)
    top = min(math.floor(box[1]), image.height - 1)
    right = max(left + 1, min(math.ceil(box[2]), image.width))
    bottom = max(top + 1, min(math.ceil(box[3]), image.height))
    return image.crop((left, top, right, bottom))
