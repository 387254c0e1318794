"""What a repetition says of the original: identical, within a tolerance, or different; and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.reproduction.passes import Pass

IDENTICAL, WITHIN, DIFFERENT = "identical", "within tolerance", "different"
TOLERANCE = 0.005
"""Difference of AP that is still no other result: what other hardware or threads change."""

UNKNOWN = "not known"
SAME_BYTES, SAME_OUTPUTS = "same bytes", "same outputs"
SAME = (SAME_BYTES, SAME_OUTPUTS)


@dataclass(frozen=True, kw_only=True)
class Change:
    """Something that the two passes do not have in common; ``what`` says of which kind it is."""

    what: str
    name: str
    original: str
    repetition: str


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Whether two files whose bytes differ compute the same to the last bit, and how far not."""

    equal: bool
    text: str


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """The verdict, the sentences that it rests on, and everything that differs.

    ``ap`` is the original's and the repetition's; ``outputs`` say how far files compute the same
    whose bytes differ.
    """

    verdict: str
    reasons: Sequence[str]
    tolerance: float
    original: Pass
    repetition: Pass
    ap: tuple[float, float] | None = None
    metrics: Sequence[Change] = ()
    largest: float | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    changes: Sequence[Change] = ()
    outputs: Sequence[str] = ()


def judge(
    original: Pass,
    repetition: Pass,
    *,
    tolerance: float = TOLERANCE,
    outputs: Mapping[str, Outputs] | None = None,
) -> Reproduction:
    """Compare two passes.

    Identical are equal weights, metrics and exported files (equal bytes, or at least equal
    ``outputs``; as far as the original's are known). Else the difference of AP on the same data
    decides.
    """
    metrics = _changes("metric", _text(original.metrics), _text(repetition.metrics))
    shared = original.metrics.keys() & repetition.metrics.keys()
    apart = [abs(original.metrics[name] - repetition.metrics[name]) for name in shared]
    compared = outputs or {}
    files = compare_files(original.exported, repetition.exported)
    files |= {name: SAME_OUTPUTS for name, said in compared.items() if said.equal}
    ap = _ap(original, repetition)
    doubts = _doubts(original, repetition, metrics, files, max(apart, default=0.0))
    verdict, decisive = _decide(original, repetition, ap, tolerance, bool(doubts))
    return Reproduction(
        verdict=verdict,
        reasons=[decisive, *doubts, *_remarks(original, files)],
        tolerance=tolerance,
        original=original,
        repetition=repetition,
        ap=ap,
        metrics=metrics,
        largest=max(apart) if apart else None,
        files=files,
        changes=circumstances(original, repetition),
        outputs=[said.text for said in compared.values()],
    )


def circumstances(original: Pass, repetition: Pass) -> list[Change]:
    """Parameters, data, versions and hardware that the two passes do not share."""
    return [
        *_changes("parameter", original.parameters, repetition.parameters),
        *_changes("data", original.data, repetition.data),
        *_changes("version", original.versions, repetition.versions),
        *_changes("hardware", original.hardware, repetition.hardware),
    ]


def compare_files(original: Mapping[str, str], repetition: Mapping[str, str]) -> dict[str, str]:
    """Format -> ``same bytes``, ``other bytes``, ``missing`` or ``new``; empty if not known."""
    if not original:
        return {}
    said = {name: "missing" for name in original} | {name: "new" for name in repetition}
    for name in original.keys() & repetition.keys():
        said[name] = SAME_BYTES if original[name] == repetition[name] else "other bytes"
    return said


def _decide(
    original: Pass,
    repetition: Pass,
    ap: tuple[float, float] | None,
    tolerance: float,
    doubts: bool,
) -> tuple[str, str]:
    """The verdict, and the sentence that decides it."""
    split = original.split
    digests = (original.data.get(str(split)), repetition.data.get(str(split)))
    if split is not None and digests[0] != digests[1]:
        return DIFFERENT, f"the {split} data are others, so AP is not of the same thing"
    if split is not None and ap is None:
        return DIFFERENT, f"one of the two has no {split} AP"
    if not doubts:
        return IDENTICAL, "weights, metrics and files are the same as far as both are known"
    if ap is None:
        return DIFFERENT, "the original was not evaluated, so only equal weights could be enough"
    apart = abs(ap[0] - ap[1])
    relation = "within" if apart <= tolerance else "beyond"
    sentence = (
        f"{split} AP {ap[0]:.4f} and {ap[1]:.4f}: {apart:.4f} apart, {relation} {tolerance:g}"
    )
    return WITHIN if apart <= tolerance else DIFFERENT, sentence


def _doubts(
    original: Pass,
    repetition: Pass,
    metrics: Sequence[Change],
    files: Mapping[str, str],
    largest: float,
) -> list[str]:
    """What speaks against `identical`."""
    found = []
    if original.weights is None or repetition.weights is None:
        found.append(f"the hash of the weights is {UNKNOWN}, so they cannot be called equal")
    elif original.weights != repetition.weights:
        found.append("the weights differ")
    if original.split is not None and metrics:
        found.append(f"{len(metrics)} metrics differ, by {largest:.2g} at most")
    other = [f"{name} ({said})" for name, said in files.items() if said not in SAME]
    if other:
        found.append(f"exported files differ: {', '.join(sorted(other))}")
    return found


def _remarks(original: Pass, files: Mapping[str, str]) -> list[str]:
    """What could not be compared."""
    said = []
    if original.split is None:
        said.append("the original has no evaluation to compare with")
    if not files:
        said.append("the original's exported files are not known: its export was not tracked")
    return said


def _ap(original: Pass, repetition: Pass) -> tuple[float, float] | None:
    name = f"{original.split}/AP"
    if name not in original.metrics or name not in repetition.metrics:
        return None
    return original.metrics[name], repetition.metrics[name]


def _changes(what: str, one: Mapping[str, str], other: Mapping[str, str]) -> list[Change]:
    return [
        Change(what=what, name=n, original=one.get(n, "-"), repetition=other.get(n, "-"))
        for n in sorted(one.keys() | other.keys())
        if one.get(n) != other.get(n)
    ]


def _text(figures: Mapping[str, float]) -> dict[str, str]:
    return {name: repr(value) for name, value in figures.items()}
