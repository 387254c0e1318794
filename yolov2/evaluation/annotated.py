"""The images that are evaluated and what is annotated in them, wherever that was written down."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from yolov2.data.table import IMAGES_SCHEMA, LABELS_SCHEMA, LabelTables, digest
from yolov2.detection.detections import GroundTruth, ground_truth


@dataclass(frozen=True, kw_only=True)
class AnnotatedImages:
    """The images of one split with their objects.

    ``truth`` has the objects by image id; ``images`` one row an image: ``image_id``, ``image``
    (path below ``root``, forward slashes), ``width`` and ``height`` in pixels. ``root`` is None
    where the files are not at hand. ``digest`` (sha256) stands for images and annotations;
    ``category_ids`` are the numbers that result files use for the classes, by class id.
    """

    split: str
    class_names: tuple[str, ...]
    truth: Mapping[int, GroundTruth]
    images: pd.DataFrame
    root: Path | None
    digest: str
    category_ids: tuple[int, ...]

    @property
    def paths(self) -> dict[int, str]:
        """Path of each image below the root, by image id."""
        return dict(zip(self.images["image_id"].tolist(), self.images["image"], strict=True))

    @property
    def objects(self) -> int:
        """The number of objects to be found: crowds are none."""
        return sum(int((~some.is_crowd).sum()) for some in self.truth.values())

    def without_labels(self) -> LabelTables:
        """The images as a loader takes them, to detect in."""
        images = self.images.assign(split=self.split, objects=0, md5="")[IMAGES_SCHEMA.names]
        labels = LABELS_SCHEMA.empty_table().to_pandas()
        return LabelTables(images=images, labels=labels, class_names=self.class_names)


def annotated_images(tables: LabelTables, split: str, root: Path | None) -> AnnotatedImages:
    """A split of a label table; ``root`` is the folder that its image paths start from.

    Raises:
        ValueError: the split has no images or no objects.
    """
    images = tables.images.loc[tables.images["split"] == split]
    return AnnotatedImages(
        split=split,
        class_names=tables.class_names,
        truth=ground_truth(tables, split),
        images=images[["image_id", "image", "width", "height"]].reset_index(drop=True),
        root=root,
        digest=digest(tables)[split],
        category_ids=tuple(range(len(tables.class_names))),
    )
