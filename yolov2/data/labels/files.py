"""Label files: lines ``class cx cy w h`` become numbers, or a reason why they cannot.

Columns are separated by blanks or tabs; centre and size are shares of the image, written with
a decimal point. Empty lines are passed over; a byte order mark and any line ending are allowed.
"""

import re
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

MALFORMED = "malformed"
"""Form of a line that does not tell a class and a box."""
COLUMNS = ("class", "cx", "cy", "w", "h")
GREATEST_CLASS = 2**31 - 1
"""Class numbers beyond are read as this one: far out of the range of any data set."""

_INTEGER = r"[+-]?\d++"
_NUMBER = r"[+-]?(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][+-]?\d++)?+"
_LINE = re.compile(
    rf"[ \t]*+({_INTEGER})" + rf"[ \t]++({_NUMBER})" * 4 + r"[ \t]*+", flags=re.ASCII
)
_IS_INTEGER = re.compile(_INTEGER, flags=re.ASCII)
_NOT_FINITE = frozenset({"nan", "inf", "infinity"})
_IS_NUMBER = re.compile(_NUMBER, flags=re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class BadLine:
    """A line (1-based; ``None``: the whole file) that is no label, and what to do about it.

    ``form`` tells kinds of bad lines apart, see ``rules``.
    """

    line: int | None
    value: str
    message: str
    advice: str
    form: str = MALFORMED


def parse_labels(data: bytes) -> tuple[NDArray[np.float64], list[BadLine]]:
    """The rows (N, 6) of a label file, line number, class, cx, cy, w, h, and its bad lines.

    Numbers are taken as written, whether they make sense or not; only NaN, infinity and what
    is no number are bad lines.
    """
    if b"\0" in data:
        message = "binary data or UTF-16, not UTF-8 text"
        return np.empty((0, 6)), [
            BadLine(line=None, value="", message=message, advice="write the file as UTF-8 text")
        ]
    text = data.decode("utf-8-sig", errors="replace")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    rows: list[tuple[float, ...]] = []
    bad: list[BadLine] = []
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        if match is not None:
            class_text, *texts = match.groups()
            cx, cy, w, h = map(float, texts)
            if isfinite(cx) and isfinite(cy) and isfinite(w) and isfinite(h):
                rows.append((number, _class_id(class_text), cx, cy, w, h))
                continue
        if line.strip(" \t"):
            bad.append(_explain(number, line))
    return np.array(rows, dtype=np.float64).reshape(-1, 6), bad


def _class_id(text: str) -> int:
    digits = text.lstrip("+-0")
    size = int(digits or "0") if len(digits) < 10 else GREATEST_CLASS
    return -size if text.startswith("-") else size


def _explain(number: int, line: str) -> BadLine:
    tokens = re.split(r"[ \t]+", line.strip(" \t"))
    if len(tokens) != len(COLUMNS):
        return _wrong_columns(number, line, tokens)
    if not _IS_INTEGER.fullmatch(tokens[0]):
        whole = re.fullmatch(r"[+-]?\d{1,9}\.0*", tokens[0], flags=re.ASCII)
        return BadLine(
            line=number,
            value=tokens[0],
            message="class is not a whole number",
            advice=f"write {tokens[0].split('.')[0]}" if whole else "write the number of the class",
        )
    columns = zip(COLUMNS[1:], tokens[1:], strict=True)
    name, token = next((name, token) for name, token in columns if not _is_finite(token))
    infinite = _IS_NUMBER.fullmatch(token) or token.lower().lstrip("+-") in _NOT_FINITE
    return BadLine(
        line=number,
        value=token,
        message=f"{name} is not {'finite' if infinite else 'a number'}",
        advice="write a decimal point" if "," in token else "write a share of the image, 0 to 1",
    )


def _is_finite(token: str) -> bool:
    return _IS_NUMBER.fullmatch(token) is not None and isfinite(float(token))


def _wrong_columns(number: int, line: str, tokens: list[str]) -> BadLine:
    count = len(tokens)
    advice = "write: class cx cy w h"
    if count == 6:
        advice = "delete the sixth column (a confidence?)"
    elif count > 6 and count % 2 == 1:
        advice = "a polygon? write the box around it: class cx cy w h"
    elif count < 5 and ("," in line or ";" in line):
        advice = "separate the columns by blanks"
    return BadLine(
        line=number,
        value=line.strip(),
        message=f"{count} column{'s' * (count != 1)} instead of 5",
        advice=advice,
    )
