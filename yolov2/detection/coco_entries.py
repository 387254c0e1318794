"""COCO's JSON files, entry by entry: what is wrong is named with file, place and value.

What pycocotools takes is taken: numbers such as ``3.0`` for an id, boxes that reach beyond the
image, boxes without area. What it would pass over silently or end in is an error of one line.

Letters of the shapes: N entries of a list.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolov2.config.section import require

SHOWN = 60
"""Characters of a wrong value that an error shows."""

ROUNDED_UP = 1e-6
"""A softmax or a sigmoid in single precision may end so much above 1."""

SURROGATE = re.compile("[\ud800-\udfff]")
NUMBERS = frozenset({int, float})
"""Types of numbers in JSON; ``bool`` is none, though Python calls it an int."""


@dataclass(frozen=True, kw_only=True)
class Entries:
    """One list of objects in a file; an error calls them ``name[0]``, ``name[1]``, ...

    Every method raises ``ValueError`` where an entry lacks what is asked for or has something else.
    """

    file: Path
    name: str
    rows: Sequence[dict[str, Any]]

    def column(self, key: str, wanted: str) -> list[Any]:
        """The values (N) of ``key``, which every entry must have."""
        for index, row in enumerate(self.rows):
            if key not in row:
                raise ValueError(f"{self.at(index)} has no '{key}': it needs {wanted}")
        return [row[key] for row in self.rows]

    def integers(self, key: str) -> list[int]:
        """Whole numbers (N)."""
        values = self.column(key, "a whole number")
        lost = (i for i, value in enumerate(values) if _has_lost_digits(value))
        reason = "beyond 2^53 a number with one has lost digits"
        self._refuse(lost, key, values, f"a whole number without a point: {reason}")
        wrong = (i for i, value in enumerate(values) if not is_whole(value))
        self._refuse(wrong, key, values, "a whole number")
        return [int(value) for value in values]

    def texts(self, key: str) -> list[str]:
        """Texts (N) that are not empty."""
        values = self.column(key, "a text")
        wrong = (i for i, value in enumerate(values) if not _is_text(value))
        self._refuse(wrong, key, values, "a text")
        return values

    def scores(self, key: str) -> NDArray[np.float64]:
        """Numbers (N,) from 0 to 1, or as little above as rounding explains."""
        wanted = "a number from 0 to 1 (divide percentages by 100)"
        values = self.column(key, wanted)
        wrong = (i for i, score in enumerate(values) if not _is_share(score))
        self._refuse(wrong, key, values, wanted)
        return np.array(values, dtype=np.float64)

    def sizes(self, key: str, otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
        """Finite numbers (N,) that are not negative; of ``otherwise`` (N,) where one is absent."""
        pairs = zip(self.rows, otherwise.tolist(), strict=True)
        values = [row.get(key, size) for row, size in pairs]
        wrong = (i for i, size in enumerate(values) if not _are_sizes([size]))
        self._refuse(wrong, key, values, "a finite number that is not negative")
        return np.array(values, dtype=np.float64)

    def flags(self, key: str) -> NDArray[np.bool_]:
        """Whether (N,) a value is 1; 0 where it is absent."""
        values = [row.get(key, 0) for row in self.rows]
        self._refuse(
            (i for i, flag in enumerate(values) if flag not in (0, 1)), key, values, "0 or 1"
        )
        return np.array(values, dtype=np.bool_)

    def boxes_ltwh(self, key: str) -> NDArray[np.float64]:
        """Boxes (N, 4) left, top, width, height in pixels, finite, of no negative size."""
        wanted = "[left, top, width, height] in pixels, finite, width and height not negative"
        values = self.column(key, wanted)
        if not _are_boxes(values):
            wrong = (i for i, box in enumerate(values) if not _are_boxes([box]))
            self._refuse(wrong, key, values, wanted)
        return np.array(values, dtype=np.float64).reshape(len(values), 4)

    def at(self, index: int) -> str:
        """Where an entry is, for an error."""
        return f"{self.file}: {self.name}[{index}]"

    def _refuse(self, wrong: Iterable[int], key: str, values: Sequence[Any], wanted: str) -> None:
        for index in wrong:
            raise ValueError(f"{self.at(index)}: {key} is {shown(values[index])}, not {wanted}")


def read_json(file: Path) -> Any:
    """What a JSON file holds.

    Raises:
        ValueError: no such file, or not JSON.
    """
    try:
        return json.loads(file.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{file}: no such file") from None
    except OSError as error:
        raise ValueError(f"{file}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: not JSON ({error})") from None


def entries(file: Path, content: Any, name: str, what: str) -> Entries:
    """The list ``name`` of a file's content; ``what`` is what the file should be.

    Raises:
        ValueError: there is no such list, or something in it is no object.
    """
    require(isinstance(content, dict), f"{file}: not {what}: it is no object with lists")
    rows = content.get(name)
    require(isinstance(rows, list), f"{file}: not {what}: it has no list '{name}'")
    return objects(file, name, rows)


def objects(file: Path, name: str, rows: Sequence[Any]) -> Entries:
    """The rows of a list.

    Raises:
        ValueError: one is no object.
    """
    listed = Entries(file=file, name=name, rows=rows)
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise ValueError(f"{listed.at(index)} is {shown(row)}, not an object")
    return listed


def shown(value: Any) -> str:
    """A value as JSON writes it, in ASCII and shortened."""
    text = json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number of 64 bits, also one written as ``3.0``."""
    whole = type(value) is int or (type(value) is float and value.is_integer())
    return whole and -(2**63) <= value < 2**63


def _has_lost_digits(value: Any) -> bool:
    """Whether a number stands for several whole ones, as doubles do from there on."""
    return type(value) is float and value.is_integer() and abs(value) > 2**53


def _is_text(value: Any) -> bool:
    """Whether a value is a text that a file can hold: JSON has escapes for half characters."""
    return isinstance(value, str) and bool(value) and not SURROGATE.search(value)


def _is_share(value: Any) -> bool:
    return type(value) in NUMBERS and 0 <= value <= 1 + ROUNDED_UP


def _are_boxes(values: Sequence[Any]) -> bool:
    """Whether these are boxes, without a look at each of half a million of them by itself."""
    if not (set(map(type, values)) <= {list} and set(map(len, values)) <= {4}):
        return False
    numbers = list(chain.from_iterable(values))
    return _are_finite(numbers) and _are_sizes(numbers[2::4]) and _are_sizes(numbers[3::4])


def _are_sizes(values: Sequence[Any]) -> bool:
    return _are_finite(values) and min(values, default=0) >= 0


def _are_finite(values: Sequence[Any]) -> bool:
    try:
        return set(map(type, values)) <= NUMBERS and all(map(isfinite, values))
    except OverflowError:  # a whole number beyond all floats
        return False
