"""How far the data of a split moved between two states.

Compared are the label tables that the stage ``validate`` writes: class shares, boxes of an image,
relative area and aspect of the boxes, sizes and aspect of the images. What the pixels look like
(brightness, contrast) is not in these tables and not measured.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline import paths
from pipeline.drift.measures import Counts, Shift, ShiftStrength, Values, bin_counts, shift
from pipeline.drift.states import PROPERTIES, read_reference, rows_of
from pipeline.pages import cell, table
from yolov2.data.table import LabelTables, digest
from yolov2.files import write_json, write_text

JSON = paths.REPORTS / "drift.json"
MARKDOWN = paths.REPORTS / "drift.md"
WORDS = {"none": "no drift", "some": "some drift", "strong": "strong drift"}


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One property of the data: how far it moved, and from where to where, in words."""

    name: str
    shift: Shift
    change: str


@dataclass(frozen=True, kw_only=True)
class Drift:
    """All measures of a split; ``images`` and ``digests`` of the reference and today."""

    split: str
    images: tuple[int, int]
    digests: tuple[str, str]
    measures: tuple[Measure, ...]

    @property
    def verdict(self) -> ShiftStrength:
        """The strongest verdict of any measure."""
        found = {measure.shift.verdict for measure in self.measures}
        return "strong" if "strong" in found else "some" if "some" in found else "none"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "verdict": self.verdict,
            "split": self.split,
            "images": dict(zip(("reference", "current"), self.images, strict=True)),
            "digest": dict(zip(("reference", "current"), self.digests, strict=True)),
            "measures": [
                {"name": one.name, **asdict(one.shift), "change": one.change}
                for one in self.measures
            ],
        }

    def sentence(self) -> str:
        """The verdict in one line."""
        moved = [one.name for one in self.measures if one.shift.verdict != "none"]
        where = f" ({', '.join(moved)})" if moved else ""
        before, after = self.images
        return f"{WORDS[self.verdict]}{where} in {self.split}: {before} images before, {after} now"

    def markdown(self) -> str:
        """The measures as a Markdown table."""
        header = ("", "PSI", "by chance below", "JS distance", "verdict", "change")
        rows = [
            (
                cell(one.name),
                f"{one.shift.psi:.3f}",
                f"{one.shift.chance:.3f}",
                f"{one.shift.js:.3f}",
                one.shift.verdict,
                cell(one.change),
            )
            for one in self.measures
        ]
        return table(header, rows)


def report(reference: str, split: str) -> Drift:
    """Measure ``split`` against ``reference``; write ``reports/drift.json`` and ``.md``.

    Raises:
        ValueError: the reference has no label table, or a state nothing in ``split``.
    """
    current = LabelTables.read(paths.ARTIFACTS)
    found = measure(read_reference(reference), current, split)
    write_json(JSON, {"reference": reference, "sentence": found.sentence(), **found.as_dict()})
    write_text(
        MARKDOWN, f"# Drift since {cell(reference)}\n\n{found.sentence()}.\n\n{found.markdown()}\n"
    )
    return found


def measure(reference: LabelTables, current: LabelTables, split: str) -> Drift:
    """How far ``split`` moved from ``reference`` to ``current``.

    Raises:
        ValueError: a state has no image or no box in ``split``.
    """
    before = rows_of(reference, split, "reference")
    after = rows_of(current, split, "current")
    names = list(dict.fromkeys((*reference.class_names, *current.class_names)))
    return Drift(
        split=split,
        images=(len(before[0]), len(after[0])),
        digests=(digest(reference)[split], digest(current)[split]),
        measures=(
            _classes(before[1], after[1], names),
            *(_values(name, of(*before), of(*after)) for name, of in PROPERTIES.items()),
        ),
    )


def _classes(before: pd.DataFrame, after: pd.DataFrame, names: Sequence[str]) -> Measure:
    """The shares of the classes, and the one that moved most."""
    counted, now = _count(before, names), _count(after, names)  # each (K,)
    old, new = counted / counted.sum(), now / now.sum()
    most = int(np.abs(new - old).argmax())
    change = f"'{names[most]}' {100 * old[most]:.1f} % → {100 * new[most]:.1f} % of the boxes"
    return Measure(name="class shares", shift=shift(counted, now), change=change)


def _count(boxes: pd.DataFrame, names: Sequence[str]) -> Counts:
    counts = boxes["class_name"].value_counts()
    return np.array([counts.get(name, 0) for name in names], dtype=np.int64)


def _values(name: str, before: Values, after: Values) -> Measure:
    change = f"median {np.median(before):.4g} → {np.median(after):.4g}"
    return Measure(name=name, shift=shift(*bin_counts(before, after)), change=change)
