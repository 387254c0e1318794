"""Which figures look better than the model is, and how people are told."""

OPTIMISTIC = {
    "train": "a training learns from the train split",
    "val": "a training chooses its checkpoint by the val split",
}
"""Splits on which a model scores better than on new images, and why; the test split is none."""


def caution(split: str) -> str:
    """What people must know of figures on ``split``; empty if no training has seen it."""
    why = OPTIMISTIC.get(split)
    return f"optimistic: {why}; on new images expect less" if why else ""
