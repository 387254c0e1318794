"""What lies behind a difference: errors by type, the images that changed, settings that differ.

Of several runs a side, which differ in their seed, counts and scores are the means.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from pipeline.comparison.measure import Bench, Measured
from yolov2.evaluation.confusion import image_scores
from yolov2.evaluation.hotcoco_eval import evaluator

ERRORS = {
    "Cls": "wrong class",
    "Loc": "badly placed",
    "Both": "wrong class and badly placed",
    "Dupe": "found twice",
    "Bkg": "nothing there",
    "Miss": "missed",
}
"""TIDE's types of errors (D. Bolya et al., 2020) in words."""


@dataclass(frozen=True, kw_only=True)
class ErrorType:
    """How often a type of error happens, and the AP50 that repairing it would win."""

    count: float
    cost: float


@dataclass(frozen=True, kw_only=True)
class ImageChange:
    """F1 of an image by A and by B."""

    image_id: int
    image: str
    before: float
    after: float


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting that is not the same in all runs: its values on each side, none where unknown."""

    name: str
    a: tuple[str, ...]
    b: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether it is another between the sides, not only within one (the seed, say)."""
        return self.a != self.b


@dataclass(frozen=True, kw_only=True)
class Details:
    """Errors by type (``ERRORS``) of A and B, all images whose F1 changed (most first), settings.

    ``settings`` is None where those of a side are not known.
    """

    errors_a: Mapping[str, ErrorType]
    errors_b: Mapping[str, ErrorType]
    images: Sequence[ImageChange]
    settings: Sequence[Setting] | None

    def content(self) -> dict[str, Any]:
        """For programs."""
        errors = {"A": self.errors_a, "B": self.errors_b}
        return {
            "errors": {
                letter: {kind: vars(one) for kind, one in side.items()}
                for letter, side in errors.items()
            },
            "images_changed": [vars(one) for one in self.images],
            "settings": None
            if self.settings is None
            else {one.name: {"A": list(one.a), "B": list(one.b)} for one in self.settings},
        }


def details_of(bench: Bench, a: Sequence[Measured], b: Sequence[Measured]) -> Details:
    """The details of two sides that were measured on the same bench."""
    return Details(
        errors_a=_error_types(bench, a),
        errors_b=_error_types(bench, b),
        images=_changed_images(bench, a, b),
        settings=_settings(a, b),
    )


def _error_types(bench: Bench, side: Sequence[Measured]) -> dict[str, ErrorType]:
    found: list[Mapping[str, Mapping[str, float]]] = []
    for one in side:
        judge = evaluator(bench.truth, one.detections, len(bench.tables.class_names))
        judge.evaluate()
        found.append(judge.tide_errors())
    return {
        kind: ErrorType(
            count=mean(float(run["counts"][kind]) for run in found),
            cost=mean(float(run["delta_ap"][kind]) for run in found),
        )
        for kind in ERRORS
    }


def _changed_images(
    bench: Bench, a: Sequence[Measured], b: Sequence[Measured]
) -> list[ImageChange]:
    before, after = (_mean_f1(bench, side) for side in (a, b))
    names = dict(zip(bench.tables.images["image_id"], bench.tables.images["image"], strict=True))
    changed = [
        ImageChange(image_id=i, image=str(names[i]), before=before[i], after=after[i])
        for i in before
        if before[i] != after[i]
    ]
    return sorted(changed, key=lambda one: (-abs(one.after - one.before), one.image_id))


def _mean_f1(bench: Bench, side: Sequence[Measured]) -> dict[int, float]:
    runs = [
        {score.image_id: score.f1 for score in image_scores(bench.truth, one.detections)}
        for one in side
    ]
    return {image_id: mean(run[image_id] for run in runs) for image_id in sorted(runs[0])}


def _settings(a: Sequence[Measured], b: Sequence[Measured]) -> list[Setting] | None:
    sides = [[one.candidate.parameters for one in side] for side in (a, b)]
    if not all(settings for side in sides for settings in side):
        return None
    names = sorted({name for side in sides for settings in side for name in settings})
    found = []
    for name in names:
        ours, theirs = (
            tuple(sorted({settings.get(name, "-") for settings in side})) for side in sides
        )
        if len({*ours, *theirs}) > 1:
            found.append(Setting(name=name, a=ours, b=theirs))
    return found
