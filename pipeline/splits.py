"""The split that is evaluated: asked for before the training, not after it."""

from yolov2.data.table import LabelTables
from yolov2.section import require


def check_split(tables: LabelTables, split: str) -> None:
    """Raise ``ValueError`` unless the data set has images in ``split``; say what to type."""
    present = tables.images["split"].unique().tolist()
    other = next((name for name in ("val", "test", "train") if name in present), "val")
    require(
        split in present,
        f"the data set has no {split} split (it has: {', '.join(present)}): evaluate another one "
        f"with `-S evaluate.split={other}` or in params.yaml",
    )
