"""The label table that the stage ``validate`` has written, and the splits that it has to have."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pipeline import paths
from yolov2.config.data import DataConfig
from yolov2.config.section import require
from yolov2.data.description import DataDescription, read_description
from yolov2.data.table import LabelTables


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The tables, and the folder that their image paths start from."""

    tables: LabelTables
    root: Path

    def check_split(self, split: str) -> None:
        """Raise ``ValueError`` unless the data set has images in ``split``; say what to type.

        Asked for before a training, not after it.
        """
        present = self.tables.images["split"].unique().tolist()
        require(split in present, without(split, present))


def read_labels(config: DataConfig) -> Labels:
    """The label table in ``artifacts/`` of the data set that ``config`` names.

    Raises:
        ValueError: the description or the table cannot be read.
    """
    return Labels(
        tables=LabelTables.read(paths.ARTIFACTS), root=read_description(Path(config.config)).root
    )


def check_train(description: DataDescription) -> None:
    """Raise ``ValueError`` unless the data set has images to train on."""
    require(
        "train" in description.images,
        f"{description.file}: train is missing: the pipeline learns from its images: add `train:`"
        " (a folder, a list of folders or a .txt file)",
    )


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
