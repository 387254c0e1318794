from dataclasses import replace

import pytest

from pipeline.params.schema import Params
from pipeline.promotion.settled import basis, settled_as
from pipeline.registry.models import Version

PARAMS = Params()
CHAMPION = Version(number=3, run_id="c", tags={})


def refused() -> Version:
    return Version(number=4, run_id="r", tags=basis(PARAMS, 3) | {"decision.verdict": "refused"})


def test_new_challenger_waits_for_a_decision() -> None:
    assert settled_as(PARAMS, Version(number=4, run_id="r", tags={}), CHAMPION) == ""
    assert settled_as(PARAMS, Version(number=1, run_id="r", tags={}), None) == ""


def test_champion_and_what_was_taken_back_are_settled() -> None:
    assert settled_as(PARAMS, CHAMPION, CHAMPION) == "champion already"
    taken = Version(number=4, run_id="r", tags={"rolled_back": "2026-11-24 by me"})
    assert settled_as(PARAMS, taken, CHAMPION) == "taken back"


@pytest.mark.parametrize("rules", [{"margin": 0.0}, {"max_class_loss": 0.2}])
def test_refusal_holds_for_these_rules_and_this_champion_only(rules: dict[str, float]) -> None:
    assert settled_as(PARAMS, refused(), CHAMPION) == "refused already"
    assert settled_as(PARAMS, refused(), Version(number=5, run_id="d", tags={})) == ""
    assert settled_as(PARAMS, refused(), None) == ""
    others = replace(PARAMS, promote=replace(PARAMS.promote, **rules))
    assert settled_as(others, refused(), CHAMPION) == ""


def test_what_was_promoted_once_may_be_decided_on_again() -> None:
    tags = basis(PARAMS, 3) | {"decision.verdict": "promoted"}
    assert settled_as(PARAMS, Version(number=2, run_id="r", tags=tags), CHAMPION) == ""
