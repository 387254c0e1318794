"""The splits that the pipeline needs: asked for before the training, not after it."""

from collections.abc import Collection

from yolov2.config.section import require
from yolov2.data.description import DataDescription
from yolov2.data.table import LabelTables


def check_train(description: DataDescription) -> None:
    """Raise ``ValueError`` unless the data set has images to train on."""
    require(
        "train" in description.images,
        f"{description.file}: train is missing: the pipeline learns from its images: add `train:`"
        " (a folder, a list of folders or a .txt file)",
    )


def check_split(tables: LabelTables, split: str) -> None:
    """Raise ``ValueError`` unless the data set has images in ``split``; say what to type."""
    present = tables.images["split"].unique().tolist()
    require(split in present, without(split, present))


def without(split: str, present: Collection[str]) -> str:
    """What to do where ``split`` is to be evaluated and is none of those that are ``present``."""
    missing = f"the data set has no {split} split (it has: {', '.join(present)})"
    others = [name for name in ("val", "test") if name in present]
    if others:
        advice = f"evaluate another one with `-S evaluate.split={others[0]}` or in params.yaml"
    else:
        advice = (
            "move some of its images, a tenth to a fifth, to a split of their own, name it under"
            " `val:` in the description, and set evaluate.split to val: a score on images that were"
            " learnt says nothing"
        )
    return f"{missing}: {advice}"
