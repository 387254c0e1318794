"""Detections and annotated boxes of one image, as plain arrays. No torch.

Letters of the shapes: N boxes of one image.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolov2.boxes import FloatArray, xyxy_to_ltwh
from yolov2.data.table import LabelTables

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 5
"""How many detections their text shows."""


class Detection(NamedTuple):
    """One found object: left, top, right and bottom in pixels of the image, score, class name."""

    box: tuple[float, float, float, float]
    score: float
    name: str


@dataclass(frozen=True, kw_only=True, repr=False)
class Detections:
    """What the detector says about one image, by descending score.

    Equal scores come by their place in the network's predictions (box, then class), those of a
    file in its order: so they are cut, written, matched and judged.

        for box, score, name in found: ...

    ``boxes_xyxy`` (N, 4) in pixels of the image and within it, ``scores`` (N,) in [0, 1],
    ``class_ids`` (N,) int64. The detector gives float32; what other tools wrote down with more
    digits is float64, and ``given_ltwh`` (N, 4) are their boxes untouched. ``class_names`` are
    those of all classes, or none where only numbers matter.
    """

    boxes_xyxy: FloatArray
    scores: FloatArray
    class_ids: NDArray[np.int64]
    class_names: Sequence[str] = ()
    given_ltwh: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[Detection]:
        rows = zip(self.boxes_xyxy.tolist(), self.scores.tolist(), self.names, strict=True)
        for (left, top, right, bottom), score, name in rows:
            yield Detection((left, top, right, bottom), score, name)

    def __repr__(self) -> str:
        some = [
            f"{name} {score:.2f} [{' '.join(f'{edge:.0f}' for edge in box)}]"
            for box, score, name in self._rows(slice(SHOWN))
        ]
        count = f"{len(self)} detection{'' if len(self) == 1 else 's'}"
        more = [f"{len(self) - SHOWN} more"] if len(self) > SHOWN else []
        return f"<{count}{': ' if some else ''}{', '.join(some + more)}>"

    @property
    def boxes_ltwh(self) -> NDArray[np.float64]:
        """Boxes (N, 4) left, top, width, height, by which overlaps are judged."""
        return xyxy_to_ltwh(self.boxes_xyxy) if self.given_ltwh is None else self.given_ltwh

    @property
    def names(self) -> list[str]:
        """The class name of each detection (N), its number where names are unknown."""
        if not self.class_names:
            return [str(class_id) for class_id in self.class_ids.tolist()]
        return [self.class_names[class_id] for class_id in self.class_ids.tolist()]

    def to_pandas(self) -> "pd.DataFrame":
        """A row for each: class_id, class_name, score, x1, y1, x2, y2."""
        import pandas as pd

        columns = {"class_id": self.class_ids, "class_name": self.names, "score": self.scores}
        edges = dict(zip(("x1", "y1", "x2", "y2"), self.boxes_xyxy.T, strict=True))
        return pd.DataFrame({**columns, **edges})

    def above(self, threshold: float) -> "Detections":
        """Those with a score greater than ``threshold``."""
        return self._rows(self.scores > threshold)

    def _rows(self, rows: slice | NDArray[np.bool_]) -> "Detections":
        return replace(
            self,
            boxes_xyxy=self.boxes_xyxy[rows],
            scores=self.scores[rows],
            class_ids=self.class_ids[rows],
            given_ltwh=None if self.given_ltwh is None else self.given_ltwh[rows],
        )


@dataclass(frozen=True, kw_only=True)
class GroundTruth:
    """The annotated objects of one image.

    ``boxes_xyxy`` (N, 4) float64 in pixels of the image, ``class_ids`` (N,) int64. ``crowd`` (N,)
    marks boxes around many objects of a class, in which a detection is neither right nor wrong;
    none is one if it is not given. ``areas`` (N,) in square pixels are those of the objects, by
    which COCO calls them small or large; if not given, those of the boxes. ``given_ltwh`` (N, 4)
    are the boxes of a COCO file, untouched.
    """

    boxes_xyxy: FloatArray
    class_ids: NDArray[np.int64]
    crowd: NDArray[np.bool_] | None = None
    areas: FloatArray | None = None
    given_ltwh: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.class_ids)

    @property
    def boxes_ltwh(self) -> NDArray[np.float64]:
        """Boxes (N, 4) left, top, width, height, by which overlaps are judged."""
        return xyxy_to_ltwh(self.boxes_xyxy) if self.given_ltwh is None else self.given_ltwh

    @property
    def is_crowd(self) -> NDArray[np.bool_]:
        """Whether each box (N,) is a crowd."""
        return np.zeros(len(self), dtype=np.bool_) if self.crowd is None else self.crowd

    @property
    def object_areas(self) -> FloatArray:
        """Area (N,) of each object in square pixels."""
        if self.areas is not None:
            return self.areas
        return np.asarray(self.boxes_ltwh[:, 2:].prod(axis=1))


def ground_truth(tables: LabelTables, split: str) -> dict[int, GroundTruth]:
    """Objects of every image of ``split`` by image id; images without objects are included.

    Raises:
        ValueError: the split has no images, or no object in any of them.
    """
    images = tables.images[tables.images["split"] == split]
    labels = tables.labels[tables.labels["split"] == split]
    if images.empty:
        present = ", ".join(tables.images["split"].unique())
        raise ValueError(f"the data set has no images in split '{split}' (it has: {present})")
    if labels.empty:
        raise ValueError(
            f"none of the {len(images)} images of split '{split}' has an object: average precision "
            f"needs annotated boxes; check the label files or evaluate another split"
        )
    size = labels[["pixel_width", "pixel_height"]].to_numpy(np.float64)  # (N, 2)
    image_size = labels[["image_width", "image_height"]].to_numpy(np.float64)
    centre = labels[["cx", "cy"]].to_numpy(np.float64) * image_size
    boxes = np.concatenate((centre - size / 2, centre + size / 2), axis=1)  # (N, 4)
    class_ids = labels["class_id"].to_numpy(np.int64)
    rows = labels.groupby("image_id", sort=False).indices
    nothing = np.zeros(0, dtype=np.intp)
    truth = {}
    for image_id in images["image_id"].tolist():
        where = rows.get(image_id, nothing)
        truth[image_id] = GroundTruth(boxes_xyxy=boxes[where], class_ids=class_ids[where])
    return truth
