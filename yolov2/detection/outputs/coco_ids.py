"""Which ids COCO results carry: numbers from 0, or those of a ground truth file."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from yolov2.config.section import require
from yolov2.data.images.reading import require_size
from yolov2.detection.coco_entries import entries, is_whole, read_json
from yolov2.detection.stream import Detected

SHOWN = 12
"""How many names an error lists."""

WHAT = "a COCO ground truth with images and categories"


class CocoIds(Protocol):
    """The ids of images and classes."""

    def image(self, found: Detected) -> int:
        """``image_id`` of an image or frame."""

    def category(self, class_id: int) -> int:
        """``category_id`` of a class of the model."""


class RunningIds:
    """Images by their number in the run, classes by the model's numbers."""

    def image(self, found: Detected) -> int:
        """See ``CocoIds``."""
        return found.number

    def category(self, class_id: int) -> int:
        """See ``CocoIds``."""
        return class_id


class GroundTruthIds:
    """Ids of a COCO ground truth: images by file name, classes by name.

    So detections of a model with 80 consecutive classes carry COCO's category ids, which have
    gaps up to 90, without a table of them. ``classes`` are the names of those that can be found.
    An image must have the width and height that the file says, if it does.

    Raises:
        ValueError: the file is no COCO ground truth, or lacks an image or class; an image's name
            fits two of its images.
    """

    def __init__(self, path: Path, images: Iterable[str], classes: Mapping[int, str]) -> None:
        self._path = path
        content = read_json(path)
        known = _ids(path, content, "categories", "name")
        unknown = [name for name in classes.values() if name not in known]
        require(
            not unknown,
            f"{path} has no category {', '.join(map(repr, unknown[:SHOWN]))}, which the model can"
            f" find; it has {', '.join(list(known)[:SHOWN])}{' ...' if len(known) > SHOWN else ''}",
        )
        self._categories = {class_id: known[name] for class_id, name in classes.items()}
        self._images = self._match(_ids(path, content, "images", "file_name"), list(images))
        self._sizes = {
            int(row["id"]): (int(row["width"]), int(row["height"]))
            for row in content["images"]
            if all(is_whole(row.get(side)) for side in ("width", "height"))
        }

    def image(self, found: Detected) -> int:
        """See ``CocoIds``.

        Raises:
            ImageError: the image has another size than the file says.
        """
        image_id = self._images[found.name]
        wanted = self._sizes.get(image_id, found.image.size)
        require_size(found.name, found.image, wanted, f"{self._path} says")
        return image_id

    def category(self, class_id: int) -> int:
        """See ``CocoIds``."""
        return self._categories[class_id]

    def _match(self, whole: Mapping[str, int], images: Sequence[str]) -> dict[str, int]:
        """The id of each image: by its whole name in the file, else by the last part of it."""
        last = {PurePosixPath(name).name: image_id for name, image_id in whole.items()}
        times = Counter(PurePosixPath(name).name for name in whole)
        found: dict[str, int] = {}
        missing: list[str] = []
        for name in images:
            end = PurePosixPath(name).name
            if name in whole:
                found[name] = whole[name]
            elif times[end] == 1:
                found[name] = last[end]
            elif times[end] > 1:
                raise ValueError(
                    f"{self._path} has {times[end]} images called {end}: name the folder that"
                    " their file names start at, with --recursive"
                )
            else:
                missing.append(name)
        found_times = Counter(found.values())
        require(
            not missing,
            f"{self._path} has no image {missing[0] if missing else ''} ({len(missing)} of"
            f" {len(images)} images are not in it)",
        )
        twice = [name for name, image_id in found.items() if found_times[image_id] > 1]
        require(
            not twice,
            f"{' and '.join(twice[:2])} would both be the same image of {self._path}",
        )
        return found


def _ids(path: Path, content: Any, name: str, key: str) -> dict[str, int]:
    """The id of each entry of the list ``name`` by its ``key``."""
    listed = entries(path, content, name, WHAT)
    return dict(zip(listed.texts(key), listed.integers("id"), strict=True))
