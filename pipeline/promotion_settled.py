"""Whether a challenger was decided on already, so that nobody need measure it again."""

import hashlib
import json
from dataclasses import asdict

from pipeline.params.schema import Params
from pipeline.registry import Version

SETTLED = {
    "champion already": "is the champion already",
    "refused already": "was refused already, by these rules and against this champion",
    "taken back": "was champion and was taken back: `python -m pipeline.promote` decides anew",
}
"""What is said of a challenger that ``settled_as`` calls so."""


def settled_as(params: Params, challenger: Version, champion: Version | None) -> str:
    """A key of ``SETTLED``, or empty: there is something to decide."""
    if champion is not None and champion.number == challenger.number:
        return "champion already"
    if "rolled_back" in challenger.tags:
        return "taken back"
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
