"""``python -m pipeline.promote``: the challenger becomes champion if it is better.

Better is a higher average precision on the same data. Exit status 0: the challenger is (now)
the champion; 3: it was refused; 1: there is nothing to decide on.
"""

from dataclasses import dataclass

from pipeline.params.schema import TrackingConfig, load
from pipeline.registry import CHALLENGER, CHAMPION, PREVIOUS, Registry, Version
from pipeline.stage import run_stage

REFUSED = 3


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether the challenger takes over, and the sentence that says why."""

    promote: bool
    reason: str


def main() -> int:
    """Decide, move the aliases, print the decision."""
    return promote(load().tracking)


def promote(config: TrackingConfig) -> int:
    """Promote the challenger or refuse it; the exit status.

    Raises:
        ValueError: no version is registered as challenger, or one lacks its evaluation.
        TrackingError: the store cannot be used.
    """
    registry = Registry(config)
    challenger, champion = registry.with_alias(CHALLENGER), registry.with_alias(CHAMPION)
    if challenger is None:
        raise ValueError(
            f"no version of {registry.name} is the {CHALLENGER}: run `python -m pipeline.register`"
        )
    if champion is not None and champion.number == challenger.number:
        print(f"version {champion.number} of {registry.name} is the {CHAMPION} already")
        return 0
    decision = decide(challenger, champion)
    if decision.promote:
        if champion is not None:
            registry.set_alias(PREVIOUS, champion.number)
        registry.set_alias(CHAMPION, challenger.number)
    registry.set_tags(challenger.number, {"decision": decision.reason})
    verdict = f"promoted to {CHAMPION}" if decision.promote else "refused"
    print(f"version {challenger.number} of {registry.name} {verdict}: {decision.reason}")
    return 0 if decision.promote else REFUSED


def decide(challenger: Version, champion: Version | None) -> Decision:
    """Whether ``challenger`` scores higher than ``champion`` on the same data.

    Raises:
        ValueError: one of them was registered without its evaluation.
    """
    split, score = _tag(challenger, "split"), float(_tag(challenger, "AP"))
    if champion is None:
        return Decision(promote=True, reason=f"{split} AP {score:.4f}, and it is the first")
    other_split, other = _tag(champion, "split"), float(_tag(champion, "AP"))
    data, other_data = _tag(challenger, "data_digest"), _tag(champion, "data_digest")
    if (split, data) != (other_split, other_data):
        return Decision(
            promote=False,
            reason=(
                f"it was evaluated on other data ({split} {data[:12]}) than the {CHAMPION},"
                f" version {champion.number} ({other_split} {other_data[:12]}): evaluate both on"
                " the same data"
            ),
        )
    better = score > other
    relation = "higher than" if better else "not higher than"
    return Decision(
        promote=better,
        reason=(
            f"{split} AP {score:.4f} is {relation} the {other:.4f} of the {CHAMPION}, version"
            f" {champion.number}, on the same data"
        ),
    )


def _tag(version: Version, name: str) -> str:
    try:
        return version.tags[name]
    except KeyError:
        raise ValueError(
            f"version {version.number} has no tag '{name}': it was not registered by"
            " `python -m pipeline.register`, so there is nothing to compare"
        ) from None


if __name__ == "__main__":
    run_stage(main)
