"""The sizes of a split's boxes as the network sees them."""

import numpy as np

from yolov2.boxes import FloatArray, Letterbox
from yolov2.config.model import STRIDE
from yolov2.data.table import LabelTables


def letterboxed_sizes(tables: LabelTables, split: str, image_size: int) -> FloatArray:
    """Widths and heights (N, 2) in cells of a split's boxes on the square canvas.

    Raises ``ValueError`` when the data set has no such split, or the split no box.
    """
    if split not in tables.splits:
        raise ValueError(
            f"anchors need boxes, but the data set has no {split} split (it has:"
            f" {', '.join(tables.splits)}): give the description `{split}:`, a folder of images"
        )
    labels = tables.labels[tables.labels["split"] == split]
    if labels.empty:
        raise ValueError(
            f"anchors need boxes, but the {split} split has none: check the label files that "
            f"the data set description names under '{split}:'"
        )
    shapes, shape_of_box = np.unique(
        labels[["image_width", "image_height"]].to_numpy(), axis=0, return_inverse=True
    )
    letterboxes = [Letterbox(width=int(w), height=int(h), side=image_size) for w, h in shapes]
    covered = np.array([[box.new_width, box.new_height] for box in letterboxes], dtype=np.float64)
    shares = labels[["w", "h"]].to_numpy(dtype=np.float64)
    return np.asarray(shares * covered[shape_of_box.reshape(-1)] / STRIDE)
