"""The challenger becomes champion if the evidence says so, by the rules of ``params.yaml``."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pipeline import paths
from pipeline.comparison.finding import Finding
from pipeline.comparison.page import write_page
from pipeline.params.schema import Params
from pipeline.promotion.evidence import gather
from pipeline.promotion.page import Decision, write_decision
from pipeline.promotion.rules import Evidence, judge
from pipeline.promotion.settled import HELD, SETTLED, Decided, basis, settled_as, wanted
from pipeline.registry.aliases import move_champion
from pipeline.registry.models import CHAMPION, Registry, Version
from pipeline.running.person import person
from pipeline.tracking.marks import split_tags
from pipeline.tracking.runs import log_report

OUTPUT = paths.REPORTS / "promotion"

Gather = Callable[[Params, Registry, Version, Version | None], tuple[Evidence, Finding | None]]


def promote(
    params: Params,
    *,
    number: int | None = None,
    dry_run: bool = False,
    forced: str = "",
    new_only: bool = False,
    hold: bool = False,
    by: str = "",
    evidence_of: Gather = gather,
) -> Decided:
    """Promote version ``number`` (default: the challenger) or refuse it, and say so.

    ``new_only``: a challenger that was refused by these rules against this champion is not
    measured again, nor one that was rolled back or declined. ``hold``: one that they accept stays
    challenger until a person (``by``) agrees.

    Raises:
        ValueError: there is no such version, or one lacks what the rules look at.
        TrackingError: the store cannot be used.
    """
    registry = Registry(params.tracking)
    challenger, champion = wanted(registry, number), registry.with_alias(CHAMPION)
    settled = settled_as(params, challenger, champion)
    if settled == "champion already" or (settled and new_only):
        sentence = f"version {challenger.number} of {registry.name} {SETTLED[settled]}"
        print(sentence)
        return Decided(verdict=settled, sentence=sentence, version=challenger.number)
    evidence, finding = evidence_of(params, registry, challenger, champion)
    decision = Decision(
        model=registry.name,
        evidence=evidence,
        checks=judge(evidence, params.promote),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        by=by or person(),
        forced=forced,
    )
    files = _pages(decision, finding)
    held = hold and decision.promote
    if not dry_run and not held:
        _take_effect(params, registry, decision, champion, files)
    sentence = _waiting(decision) if held else decision.sentence()
    verdict = HELD if held else decision.verdict
    print(f"{sentence}{' (dry run: nothing was changed)' if dry_run else ''}\n  {files[1]}")
    return Decided(verdict=verdict, sentence=sentence, version=decision.number, page=str(files[1]))


def _take_effect(
    params: Params,
    registry: Registry,
    decision: Decision,
    champion: Version | None,
    files: list[Path],
) -> None:
    if decision.promote:
        expected = champion.number if champion else None
        move_champion(registry, decision.number, expected=expected)
    _record(params, registry, decision, files)


def _waiting(decision: Decision) -> str:
    command = f"pipeline promote --version {decision.number}"
    return (
        f"version {decision.number} of {decision.model} is accepted by the rules and waits for"
        f" approval: `{command}`"
    )


def _pages(decision: Decision, finding: Finding | None) -> list[Path]:
    """The files of the decision, its page (Markdown, HTML) first."""
    champion = decision.evidence.champion
    against = f"-against-{champion.number}" if champion else ""
    folder = OUTPUT / f"{decision.model}-{decision.number}{against}"
    compared: list[Path] = []
    if finding is not None:
        compared = write_page(finding, folder / "comparison", pictures=4)
    page = Path("comparison") / "comparison.html" if compared else None
    return [*write_decision(decision, folder, page), *compared]


def _record(params: Params, registry: Registry, decision: Decision, files: Sequence[Path]) -> None:
    """The decision as a run, and as tags of the version that point to it."""
    evidence = decision.evidence
    champion = evidence.champion
    tags = {
        "promotion.verdict": decision.verdict,
        "promotion.model": decision.model,
        "promotion.version": str(decision.number),
        "promotion.against": str(champion.number) if champion else "none",
        **split_tags(evidence.split),
        f"data.{evidence.split}": evidence.digest,
    }
    figures = {"promotion/AP": evidence.challenger.ap}
    if evidence.comparison is not None:
        ap = evidence.comparison.ap
        figures |= {"promotion/AP_difference": ap.difference, "promotion/AP_low": ap.low}
    name = f"promote-{decision.model}-{decision.number}-{decision.verdict}"
    run_id = log_report(params.tracking, "promote", name, figures, tags, files)
    kept = {
        "decision": decision.sentence(),
        "decision.verdict": decision.verdict,
        "decision.at": decision.at,
        "decision.by": decision.by,
        "decision.run": run_id,
    } | basis(params, champion.number if champion else None)
    if decision.verdict == "forced":
        kept["forced"] = decision.forced
    registry.set_tags(decision.number, {name: text[:5000] for name, text in kept.items()})
