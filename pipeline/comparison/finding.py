"""What a comparison found, as a sentence, as figures and as JSON."""

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.comparison.details import Details, details_of
from pipeline.comparison.difference import Comparison, Difference, compare
from pipeline.comparison.measure import Bench, Measured
from pipeline.pages import cell
from pipeline.registry.references import Candidate
from pipeline.tracking.marks import split_tags
from yolov2.evaluation.optimism import OPTIMISTIC

SCHEMA = 1
"""Version of ``comparison.json``; another one when a key changes its meaning."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A comparison with all that it is about; ``a`` and ``b`` have an entry a run."""

    a: Sequence[Measured]
    b: Sequence[Measured]
    bench: Bench
    comparison: Comparison
    details: Details

    def name(self) -> str:
        """``version 2 against version 1``."""
        b, a = (" + ".join(one.candidate.name for one in side) for side in (self.b, self.a))
        return f"{b} against {a}"

    def folder_name(self) -> str:
        """The first runs of both sides, and how many more; other sides have another name."""
        more = [f"+{len(side) - 1}" if len(side) > 1 else "" for side in (self.b, self.a)]
        b, a = (
            side[0].candidate.name[-40:] + n for side, n in zip((self.b, self.a), more, strict=True)
        )
        whole = [[_identity(one.candidate) for one in side] for side in (self.b, self.a)]
        mark = hashlib.sha256(json.dumps([self.bench.split, whole]).encode()).hexdigest()[:8]
        return re.sub(r"[^\w.@+-]+", "-", f"{b}-against-{a}-{mark}").strip("-")

    def sentence(self) -> str:
        """The verdict with its figures."""
        ap, split = self.comparison.ap, self.bench.split
        if ap.verdict == "identical":
            return f"{self.name()}: identical, {split} AP {ap.a:.4f}, difference exactly 0"
        return (
            f"{self.name()}: {ap.verdict}; {split} AP {ap.a:.4f} -> {ap.b:.4f},"
            f" {ap.difference:+.4f} (95 % interval {ap.low:+.4f} to {ap.high:+.4f})"
        )

    def figures(self) -> dict[str, float]:
        """What MLflow charts of the comparison."""
        figures: dict[str, float] = {}
        for name, one in (("AP", self.comparison.ap), ("AP50", self.comparison.ap50)):
            figures |= {
                f"compare/{name}_A": one.a,
                f"compare/{name}_B": one.b,
                f"compare/{name}_difference": one.difference,
                f"compare/{name}_low": one.low,
                f"compare/{name}_high": one.high,
            }
        return figures

    def tags(self) -> dict[str, str]:
        """What the comparison can be found by in MLflow."""
        sides = {"A": self.a, "B": self.b}
        tags = {
            f"compare.{letter}": ",".join(one.candidate.reference for one in side)
            for letter, side in sides.items()
        }
        return tags | {
            "compare.verdict": self.comparison.ap.verdict,
            **split_tags(self.bench.split),
            f"data.{self.bench.split}": self.bench.digest,
            "mlflow.note.content": cell(self.sentence()),
        }

    def content(self) -> dict[str, Any]:
        """The report for programs; what is undefined is null.

        ``AP``, ``AP50`` and each class have the figures of A and B, their difference, its interval
        (``low``, ``high``) and verdict; ``errors`` the count and cost of each type of error;
        ``images_changed`` the F1 of each image before and after, most changed first;
        ``settings`` the values on each side; ``candidates`` size and speed.
        """
        comparison, names = self.comparison, self.bench.tables.class_names
        return {
            "schema": SCHEMA,
            "verdict": comparison.ap.verdict,
            "split": self.bench.split,
            "data_digest": self.bench.digest,
            "optimistic": OPTIMISTIC.get(self.bench.split),
            "images": comparison.images,
            "runs": {"A": comparison.runs[0], "B": comparison.runs[1]},
            "covers_seeds": comparison.covers_seeds,
            "resamples": comparison.resamples,
            "seed": comparison.seed,
            "AP": _json(comparison.ap),
            "AP50": _json(comparison.ap50),
            "per_class": {
                name: _json(one) | {"objects": objects}
                for name, one, objects in zip(
                    names, comparison.by_class, comparison.objects, strict=True
                )
            },
            "candidates": {
                letter: [_described(one) for one in side]
                for letter, side in (("A", self.a), ("B", self.b))
            },
            **self.details.content(),
        }


def find(
    bench: Bench, a: Sequence[Measured], b: Sequence[Measured], *, resamples: int, seed: int
) -> Finding:
    """Compare two sides that were measured on ``bench``; nothing is printed or written."""
    comparison = compare(
        *([one.matches for one in side] for side in (a, b)), resamples=resamples, seed=seed
    )
    return Finding(a=a, b=b, bench=bench, comparison=comparison, details=details_of(bench, a, b))


def _identity(candidate: Candidate) -> str:
    """What tells a candidate from every other: its run, else where its file lies."""
    return candidate.run_id or str(Path(candidate.reference).resolve())


def _json(one: Difference) -> dict[str, Any]:
    """A difference as plain values, NaN as None."""
    values = asdict(one) | {"difference": one.difference}
    plain = {
        name: [_number(edge) for edge in value] if isinstance(value, tuple) else _number(value)
        for name, value in values.items()
    }
    return plain | {"verdict": one.verdict}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _described(one: Measured) -> dict[str, Any]:
    candidate = one.candidate
    return {
        "reference": candidate.reference,
        "name": candidate.name,
        "run_id": candidate.run_id,
        "version": candidate.version,
        "evaluated_anew": one.evaluated_anew,
        "speed": asdict(one.speed) if one.speed else None,
    }
