"""A label file for each image, and the found objects cut out."""

import math
from pathlib import Path

from PIL import Image

from yolov2.detection.background import Background, default_workers
from yolov2.detection.outputs.names import Names, folder_name
from yolov2.detection.stream import Detected

WAITING = 32
"""Images whose crops are yet to be written, at most."""

QUALITY = 92


class LabelWriter:
    """``<image>.txt`` in the Ultralytics form: class cx cy width height, shares of the image.

    With ``scores`` each line ends with the score. An image without detections has an empty
    file: it was looked at.
    """

    def __init__(self, folder: Path, names: Names, *, scores: bool) -> None:
        self._folder, self._names, self._scores = folder, names, scores

    def __call__(self, found: Detected) -> None:
        """Write the image's file."""
        width, height = found.image.size
        lines = []
        class_ids = found.detections.class_ids.tolist()
        for class_id, ((x1, y1, x2, y2), score, _) in zip(class_ids, found.detections, strict=True):
            shares = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width
            numbers = (*shares, (y2 - y1) / height, *((score,) if self._scores else ()))
            lines.append(" ".join((str(class_id), *(f"{number:.6f}" for number in numbers))))
        path = self._folder / f"{self._names.bare(found)}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), "utf-8")

    def close(self, *, whole: bool) -> None:
        """Nothing is left to do: each file is whole."""


class CropWriter:
    """``<class>/<image>-<number>.jpg``: the pixels within each box, numbered by score from 1."""

    def __init__(self, folder: Path, names: Names) -> None:
        self._folder, self._names = folder, names
        self._background = Background(workers=default_workers(), waiting=WAITING)

    def __call__(self, found: Detected) -> None:
        """Have the image's objects written."""
        self._background(self._write, found)

    def close(self, *, whole: bool) -> None:
        """Wait for the last of them, each of which is whole."""
        self._background.close()

    def _write(self, found: Detected) -> None:
        name = self._names.bare(found)
        for number, (box, _, class_name) in enumerate(found.detections, start=1):
            path = self._folder / folder_name(class_name) / f"{name}-{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            crop(found.image, box).save(path, quality=QUALITY)


def crop(image: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    """The pixels that the box touches, at least one."""
    left = min(math.floor(box[0]), image.width - 1)
    top = min(math.floor(box[1]), image.height - 1)
    right = max(left + 1, min(math.ceil(box[2]), image.width))
    bottom = max(top + 1, min(math.ceil(box[3]), image.height))
    return image.crop((left, top, right, bottom))
