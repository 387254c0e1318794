"""Label tables written down by hand."""

from collections.abc import Sequence

import pandas as pd

from yolov2.data.table import LABELS_SCHEMA, LabelTables

Box = tuple[int, float, float, float, float]
"""Class, left, top, right, bottom in pixels."""


def make_tables(
    rows: Sequence[tuple[str, int, int, Sequence[Box]]], class_names: Sequence[str]
) -> LabelTables:
    """Tables of images (split, width, height, boxes); the ids are 0, 1, ... in this order."""
    images, labels = [], []
    for image_id, (split, width, height, boxes) in enumerate(rows):
        image = f"images/{split}/{image_id:04d}.png"
        images.append(
            {
                "split": split,
                "image_id": image_id,
                "image": image,
                "width": width,
                "height": height,
                "objects": len(boxes),
                "md5": f"{image_id:032x}",
            }
        )
        for line, (class_id, left, top, right, bottom) in enumerate(boxes, start=1):
            labels.append(
                {
                    "split": split,
                    "image_id": image_id,
                    "image": image,
                    "image_width": width,
                    "image_height": height,
                    "class_id": class_id,
                    "class_name": class_names[class_id],
                    "cx": (left + right) / 2 / width,
                    "cy": (top + bottom) / 2 / height,
                    "w": (right - left) / width,
                    "h": (bottom - top) / height,
                    "pixel_width": float(right - left),
                    "pixel_height": float(bottom - top),
                    "file": f"labels/{split}/{image_id:04d}.txt",
                    "line": line,
                }
            )
    return LabelTables(
        images=pd.DataFrame(images),
        labels=pd.DataFrame(labels, columns=LABELS_SCHEMA.names),
        class_names=tuple(class_names),
    )
