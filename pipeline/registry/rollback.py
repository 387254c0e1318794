"""The champion before becomes champion again; no evaluation is needed and no rule asked."""

from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.params.tracking import TrackingConfig
from pipeline.registry.aliases import move_champion
from pipeline.registry.models import CHAMPION, PREVIOUS, Registry
from pipeline.running.person import person
from yolov2.config.section import require


@dataclass(frozen=True, kw_only=True)
class RolledBack:
    """Version ``champion`` serves again, ``instead_of`` the other one; None: it did already."""

    champion: int
    instead_of: int | None
    sentence: str


def rollback(config: TrackingConfig, number: int | None = None, reason: str = "") -> RolledBack:
    """Make version ``number`` (default: ``previous``) the champion.

    Raises:
        ValueError: there is no champion, or no such version.
        TrackingError: the store cannot be used.
    """
    registry = Registry(config)
    aliases = registry.aliases()
    champion = aliases.get(CHAMPION)
    require(champion is not None, f"{registry.name} has no {CHAMPION}, so nothing to roll back")
    assert champion is not None
    target = aliases.get(PREVIOUS) if number is None else number
    known = registry.numbers()
    require(
        target is not None,
        f"version {champion} is the only {CHAMPION} that {registry.name} has had: name another"
        " with --to",
    )
    assert target is not None
    require(
        target in known,
        f"{registry.name} has no version {target} (it has: {', '.join(map(str, known))})",
    )
    if target == champion:
        sentence = f"version {champion} of {registry.name} is the {CHAMPION} already"
        return RolledBack(champion=target, instead_of=None, sentence=sentence)
    move_champion(registry, target, expected=champion)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    why = f": {reason}" if reason else ""
    told = f"{at} by {person()}, version {target} is {CHAMPION} again{why}"
    registry.set_tags(champion, {"rolled_back": told[:5000]})
    sentence = (
        f"version {target} of {registry.name} is the {CHAMPION} again, version {champion} is"
        f" {PREVIOUS}{why}"
    )
    return RolledBack(champion=target, instead_of=champion, sentence=sentence)
