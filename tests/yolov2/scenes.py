"""A tiny data set for tests: coloured squares on grey, two classes."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from yolov2.data.table import LabelTables

CLASS_NAMES = ("red", "blue")
COLOURS = ((220, 30, 30), (30, 30, 220))


def squares(root: Path, *, train: int = 6, val: int = 3, size: int = 64) -> LabelTables:
    """Write PNGs with one square each below ``root`` and return their tables."""
    rng = np.random.default_rng(0)
    images, labels = [], []
    splits = ["train"] * train + ["val"] * val
    for image_id, split in enumerate(splits):
        class_id = image_id % 2
        side = int(rng.integers(size // 4, size // 2))
        x, y = (int(v) for v in rng.integers(0, size - side, 2))
        pixels = np.full((size, size, 3), 120, dtype=np.uint8)
        pixels[y : y + side, x : x + side] = COLOURS[class_id]
        name = f"images/{split}/{image_id}.png"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / name)
        images.append(
            {"split": split, "image_id": image_id, "image": name, "width": size, "height": size,
             "objects": 1, "md5": f"{image_id:032x}"}
        )  # fmt: skip
        labels.append(
            {"split": split, "image_id": image_id, "image": name, "image_width": size,
             "image_height": size, "class_id": class_id, "class_name": CLASS_NAMES[class_id],
             "cx": (x + side / 2) / size, "cy": (y + side / 2) / size, "w": side / size,
             "h": side / size, "pixel_width": float(side), "pixel_height": float(side),
             "file": name.replace("images", "labels").replace(".png", ".txt"), "line": 1}
        )  # fmt: skip
    return LabelTables(
        images=pd.DataFrame(images), labels=pd.DataFrame(labels), class_names=CLASS_NAMES
    )
