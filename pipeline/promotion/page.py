"""The page of a decision: the verdict, every rule with its figures, and how it was compared."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.pages import cell, table, write_pages
from pipeline.promotion.rules import Check, Evidence, Side
from yolov2.evaluation.optimism import OPTIMISTIC
from yolov2.files import write_json

STEM = "promotion"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was decided on version ``number``, why, by whom and when (UTC).

    ``forced`` is the reason that a person gave for promoting against the rules.
    """

    model: str
    evidence: Evidence
    checks: Sequence[Check]
    at: str
    by: str
    forced: str = ""

    @property
    def number(self) -> int:
        """The challenger's version."""
        return self.evidence.challenger.number

    @property
    def failed(self) -> list[Check]:
        """The rules that do not hold."""
        return [check for check in self.checks if not check.passed]

    @property
    def promote(self) -> bool:
        """Whether the challenger takes over."""
        return bool(self.forced) or not self.failed

    @property
    def verdict(self) -> str:
        """``promoted``, ``forced`` (against a rule) or ``refused``."""
        if not self.failed:
            return "promoted"
        return "forced" if self.forced else "refused"

    def sentence(self) -> str:
        """The decision with its reason, in a line."""
        champion = self.evidence.champion
        against = f"against version {champion.number}" if champion else "as the first"
        reasons = "; ".join(check.sentence() for check in self.failed)
        why = reasons or next(
            (check.found for check in self.checks if check.name == "AP difference"),
            f"{self.evidence.split} AP {self.evidence.challenger.ap:.4f}, all rules hold",
        )
        forced = f" (forced: {self.forced})" if self.verdict == "forced" else ""
        seen = OPTIMISTIC.get(self.evidence.split)
        warned = f" (optimistic: {seen})" if seen else ""
        return (
            f"version {self.number} of {self.model} {self.verdict} {against}{forced}: {why}{warned}"
        )


def write_decision(decision: Decision, folder: Path, comparison: Path | None) -> list[Path]:
    """Write ``promotion.md``, ``.html`` and ``.json`` to ``folder``; their paths.

    ``comparison`` is the page of the comparison below ``folder``, if there was one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    evidence = decision.evidence
    rules = table(
        ["rule", "found", "wanted", "holds"],
        [
            [cell(one.name), cell(one.found), cell(one.wanted), "yes" if one.passed else "**no**"]
            for one in decision.checks
        ],
    )
    paragraphs = [
        f"**{cell(decision.sentence())}**",
        f"Decided {decision.at} by {cell(decision.by)}, on the {evidence.split} split, digest"
        f" `{evidence.digest}`.",
        *_caution(evidence.split),
        "## Rules",
        rules,
        "## Versions",
        _versions(evidence),
    ]
    if comparison is not None:
        paragraphs.append(f"The comparison in full: [{comparison.name}]({comparison.as_posix()})")
    title = f"Promotion of {decision.model} version {decision.number}: {decision.verdict}"
    files = write_pages(folder, STEM, title, paragraphs)
    write_json(folder / f"{STEM}.json", content(decision))
    return [*files, folder / f"{STEM}.json"]


def content(decision: Decision) -> dict[str, Any]:
    """The decision for programs."""
    evidence = decision.evidence
    return {
        "schema": 1,
        "model": decision.model,
        "version": decision.number,
        "verdict": decision.verdict,
        "promote": decision.promote,
        "forced": decision.forced or None,
        "reason": decision.sentence(),
        "at": decision.at,
        "by": decision.by,
        "split": evidence.split,
        "data_digest": evidence.digest,
        "optimistic": OPTIMISTIC.get(evidence.split),
        "challenger": asdict(evidence.challenger),
        "champion": asdict(evidence.champion) if evidence.champion else None,
        "rules": [asdict(check) for check in decision.checks],
    }


def _caution(split: str) -> list[str]:
    """A paragraph on figures that are better than on new images; none on a test split."""
    if split not in OPTIMISTIC:
        return []
    return [
        f"The figures are **optimistic**: {OPTIMISTIC[split]}; on new images expect less. Images"
        " under `test:` in the data set's description, which nothing else uses, would say how much."
    ]


def _versions(evidence: Evidence) -> str:
    sides: list[tuple[str, Side]] = [("challenger", evidence.challenger)]
    if evidence.champion is not None:
        sides.append(("champion", evidence.champion))
    rows = [[role, *one.columns().values()] for role, one in sides]
    return table(["", *evidence.challenger.columns()], rows)
