"""Conditions on the columns of the raw tables, of which the rules for labels consist."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]

EDGES = ("left", "top", "right", "bottom")
BOX_COLUMNS = ("row", "class_id", "cx", "cy", "w", "h")
"""Columns of the raw box table in which a duplicate equals an earlier box of the same file."""


@dataclass(frozen=True, kw_only=True)
class Between:
    """The numbers of a column are ``low`` or more and ``high`` or less; None: no such bound."""

    text: str
    column: str
    low: float | None = None
    high: float | None = None

    def broken(self, table: pd.DataFrame) -> BoolArray:
        """Which rows (N,) break it."""
        values = table[self.column].to_numpy()
        below = np.zeros(len(values), dtype=np.bool_) if self.low is None else values < self.low
        return np.asarray(below if self.high is None else below | (values > self.high))


@dataclass(frozen=True, kw_only=True)
class IsNot:
    """No row has ``value`` in a column."""

    text: str
    column: str
    value: str

    def broken(self, table: pd.DataFrame) -> BoolArray:
        """Which rows (N,) break it."""
        return (table[self.column] == self.value).to_numpy(dtype=np.bool_)


@dataclass(frozen=True, kw_only=True)
class Unique:
    """No two rows are equal in all ``columns``."""

    text: str
    columns: tuple[str, ...]

    def broken(self, table: pd.DataFrame) -> BoolArray:
        """Which rows (N,) equal an earlier one."""
        return table.duplicated(list(self.columns)).to_numpy()


Condition = Between | IsNot | Unique


def mostly_outside(boxes: pd.DataFrame) -> BoolArray:
    """Which boxes (N,) have less than half of their width, or of their height, in the image.

    In other words: the middle is not in the image, or the box is larger than twice the image.
    """
    middle: NDArray[np.float64] = boxes[["cx", "cy"]].to_numpy()  # (N, 2)
    size = np.abs(boxes[["w", "h"]].to_numpy())
    return np.asarray(np.any((middle < 0) | (middle > 1) | (size > 2), axis=1))
