"""Decisions that need no measuring: taken already by the same rules, or by a person who says no."""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from pipeline.params.schema import Params
from pipeline.registry.models import CHALLENGER, CHAMPION, Registry, Version
from yolov2.config.section import require

REFUSED = 3
"""Exit status of a decision that leaves the champion as it is."""

HELD = "awaiting approval"

SETTLED = {
    "champion already": "is the champion already",
    "refused already": "was refused already, by these rules and against this champion",
    "declined": "was declined by a person: `pipeline promote` decides anew",
    "taken back": "was champion and was taken back: `pipeline promote` decides anew",
}
"""What is said of a challenger that ``settled_as`` calls so."""


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What came of asking for a decision, and the exit ``status`` that says so.

    ``verdict``: promoted, forced, refused, ``HELD`` or a key of ``SETTLED``.
    """

    verdict: str
    sentence: str
    version: int
    page: str | None = None

    @property
    def status(self) -> int:
        """0: the version is (or, in a dry run, would be) the champion."""
        return 0 if self.verdict in ("promoted", "forced", "champion already") else REFUSED


def settled_as(params: Params, challenger: Version, champion: Version | None) -> str:
    """A key of ``SETTLED``, or empty: there is something to decide."""
    if champion is not None and champion.number == challenger.number:
        return "champion already"
    if "rolled_back" in challenger.tags:
        return "taken back"
    if challenger.tags.get("decision.verdict") == "declined":
        return "declined"
    known, now = challenger.tags, basis(params, champion.number if champion else None)
    same = all(known.get(name) == value for name, value in now.items())
    return "refused already" if same and known.get("decision.verdict") == "refused" else ""


def basis(params: Params, champion: int | None) -> dict[str, str]:
    """Tags that tell whether a decision was by these rules and against this champion."""
    rules = json.dumps(asdict(params.promote), sort_keys=True)
    return {
        "decision.against": str(champion or "none"),
        "decision.rules": hashlib.sha256(rules.encode()).hexdigest()[:16],
    }


def _record_no(
    registry: Registry, challenger: Version, champion: Version | None, *, reason: str, by: str
) -> str:
    """Record that a person does not want ``challenger``; the sentence that says so.

    Raises:
        ValueError: it is the champion: that is what ``pipeline rollback`` is for.
    """
    number = challenger.number
    require(
        champion is None or champion.number != number,
        f"version {number} is the champion: take it back with `pipeline rollback`",
    )
    sentence = f"version {number} of {registry.name} declined by {by}: {reason}"
    tags = {
        "decision": sentence,
        "decision.verdict": "declined",
        "decision.at": datetime.now(UTC).isoformat(timespec="seconds"),
        "decision.by": by,
    }
    registry.set_tags(number, {name: text[:5000] for name, text in tags.items()})
    return sentence


def decline(params: Params, number: int | None, reason: str, by: str) -> Decided:
    """Keep a version that a person does not want from being promoted.

    Raises:
        ValueError: there is no such version, or it is the champion.
    """
    registry = Registry(params.tracking)
    challenger, champion = wanted(registry, number), registry.with_alias(CHAMPION)
    sentence = _record_no(registry, challenger, champion, reason=reason, by=by)
    print(sentence)
    return Decided(verdict="declined", sentence=sentence, version=challenger.number)


def wanted(registry: Registry, number: int | None) -> Version:
    """The version to decide on.

    Raises:
        ValueError: it does not exist.
    """
    if number is None:
        found, missing = registry.with_alias(CHALLENGER), f"is the {CHALLENGER}"
    else:
        found, missing = registry.with_number(number), f"has the number {number}"
    require(
        found is not None,
        f"no version of {registry.name} {missing}: run `pipeline register`",
    )
    assert found is not None
    return found
