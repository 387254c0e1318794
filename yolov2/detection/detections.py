"""Detections and annotated boxes of one image, as plain arrays. No torch.

Letters of the shapes: N boxes of one image.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolov2.boxes import FloatArray
from yolov2.data.table import LabelTables


@dataclass(frozen=True, kw_only=True)
class Detections:
    """What the detector says about one image, by descending score.

    ``boxes_xyxy`` (N, 4) float32 in pixels of the image and within it, ``scores`` (N,) float32
    in [0, 1], ``class_ids`` (N,) int64.
    """

    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, threshold: float) -> "Detections":
        """Those with a score greater than ``threshold``."""
        keep = self.scores > threshold
        return Detections(
            boxes_xyxy=self.boxes_xyxy[keep],
            scores=self.scores[keep],
            class_ids=self.class_ids[keep],
        )


@dataclass(frozen=True, kw_only=True)
class GroundTruth:
    """The annotated objects of one image.

    ``boxes_xyxy`` (N, 4) float64 in pixels of the image, ``class_ids`` (N,) int64.
    """

    boxes_xyxy: FloatArray
    class_ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.class_ids)


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
