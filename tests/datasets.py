"""Small data sets in the Ultralytics form, written for a test."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image


def picture(width: int = 48, height: int = 32, form: str = "JPEG", mode: str = "RGB") -> bytes:
    """An image file with something on it, so that a part of its bytes is not all of them."""
    shape = (height, width) if mode in ("L", "I;16") else (height, width, len(mode))
    values = np.random.default_rng(width * height).integers(0, 256, shape)
    pixels = values.astype(np.uint16 if mode == "I;16" else np.uint8)
    stream = BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, form)
    return stream.getvalue()


def write_dataset(
    root: Path,
    splits: Mapping[str, Mapping[str, str | bytes | None]],
    *,
    names: str = "[cat, dog, owl]",
    images: Mapping[str, bytes] | None = None,
) -> Path:
    """Write images, label files and ``data.yaml`` below ``root``; the path of the last.

    ``splits``: for each split the label file's content by the stem of its image, ``None`` for no
    label file. ``images``: file names and contents that replace or join the default pictures.
    """
    for split, labels in splits.items():
        for folder in ("images", "labels"):
            (root / folder / split).mkdir(parents=True, exist_ok=True)
        for stem, content in labels.items():
            image = root / "images" / split / f"{stem}.jpg"
            if not list(image.parent.glob(f"{stem}.*")):
                image.write_bytes(picture())
            if content is not None:
                data = content.encode() if isinstance(content, str) else content
                (root / "labels" / split / f"{stem}.txt").write_bytes(data)
    for name, data in (images or {}).items():
        (root / "images" / name).write_bytes(data)
    lines = [f"{split}: images/{split}\n" for split in splits]
    (root / "data.yaml").write_text("".join(lines) + f"names: {names}\n", encoding="utf-8")
    return root / "data.yaml"
