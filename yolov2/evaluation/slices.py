"""Average precision of parts of the images: by their size, brightness and number of objects."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yolov2.boxes import FloatArray
from yolov2.data.images.reading import open_image, to_rgb
from yolov2.evaluation.annotated import AnnotatedImages

if TYPE_CHECKING:
    from hotcoco import COCOeval

PARTS = 3
"""A property divides the images into so many parts of about equal number."""

COLUMNS = ("property", "part", "slice", "images", "objects", "AP", "AP50")

BRIGHTNESS_SIDE = 64
"""Pixels of the shrunk image whose mean is the brightness."""


def slice_table(
    judge: "COCOeval", annotated: AnnotatedImages, brightness: Mapping[int, float] | None
) -> pd.DataFrame:
    """Columns ``property``, ``part`` (a range), ``slice``, ``images``, ``objects``, AP, AP50.

    ``judge`` has matched. ``brightness`` (0-255) by image id is None where the image files are not
    at hand; then it divides nothing. Without an object AP is NaN.
    """
    images = annotated.images
    ids = images["image_id"].to_numpy()
    objects = {i: int((~some.is_crowd).sum()) for i, some in annotated.truth.items()}
    side = np.sqrt(images["width"].to_numpy(float) * images["height"].to_numpy(float))
    properties = {
        "image size (root of the area, pixels)": side.round(),
        "objects in the image": np.array([objects[i] for i in ids.tolist()], dtype=float),
    }
    if brightness is not None:
        values = np.array([brightness[i] for i in ids.tolist()])
        properties["brightness (mean, 0 to 255)"] = values.round()
    place = {image_id: i for i, image_id in enumerate(sorted(objects))}  # the judge's id of it
    rows: list[dict[str, object]] = []
    members: dict[str, list[int]] = {}
    for name, values in properties.items():
        for part, inside in ranges(values):
            members[str(len(rows))] = [place[i] for i in ids[inside].tolist()]
            count = sum(objects[i] for i in ids[inside].tolist())
            words = {"property": name, "part": part, "slice": f"{name.split(' (')[0]}: {part}"}
            rows.append({**words, "images": int(inside.sum()), "objects": count})
    found = judge.slice_by(members)
    for index, row in enumerate(rows):
        for figure in ("AP", "AP50"):
            value = float(found[str(index)][figure])
            row[figure] = value if value >= 0 else np.nan
    return pd.DataFrame(rows, columns=list(COLUMNS))


def ranges(values: FloatArray) -> Iterable[tuple[str, NDArray[np.bool_]]]:
    """Text and members (a mask like ``values``) of each part; equal values stay together."""
    inner = np.quantile(values, np.arange(1, PARTS) / PARTS, method="lower")
    part = np.searchsorted(inner, values, side="left")
    for number in np.unique(part):
        inside = part == number
        low, high = values[inside].min(), values[inside].max()
        yield (f"{low:g}" if low == high else f"{low:g} to {high:g}"), inside


def brightness(file: Path) -> float:
    """Mean brightness (0-255) of an image file, decoded as coarsely as it goes.

    Raises:
        ImageError: it cannot be read.
    """
    with open_image(file) as image:
        image.draft("L", (BRIGHTNESS_SIDE, BRIGHTNESS_SIDE))
        grey = to_rgb(image).convert("L")
        grey.thumbnail((BRIGHTNESS_SIDE, BRIGHTNESS_SIDE))
        return float(np.asarray(grey, dtype=np.float64).mean())
