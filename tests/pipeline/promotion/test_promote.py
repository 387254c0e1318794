"""Promotion and rollback in a real registry; what the rules say is in test_promotion_rules."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.comparison.finding import Finding
from pipeline.params.schema import Params
from pipeline.promotion.promote import Gather, promote
from pipeline.promotion.rules import Evidence
from pipeline.promotion.settled import REFUSED, Decided, decline
from pipeline.registry import aliases, rollback
from pipeline.registry.models import CHALLENGER, CHAMPION, PREVIOUS, Registry, Version
from tests.pipeline.promotion.test_rules import evidence
from tests.pipeline.tracked import CONFIG, files, open_store, runs

PARAMS = replace(Params(), tracking=CONFIG)


@pytest.fixture
def registry(repository: Path) -> Registry:
    return Registry(CONFIG)


def add(registry: Registry) -> int:
    """A version without files becomes challenger; its number."""
    client = registry.store.client
    if not client.search_registered_models(f"name = '{registry.name}'"):
        client.create_registered_model(registry.name)
    made = client.create_model_version(registry.name, source="file:///no/such/folder")
    registry.set_alias(CHALLENGER, int(made.version))
    return int(made.version)


def found(half: float, during: Callable[[], object] = lambda: None) -> Gather:
    """A gatherer of evidence: AP 0.50 -> 0.56 give or take ``half``; ``during`` happens then."""

    def gather(
        params: Params, registry: Registry, challenger: Version, champion: Version | None
    ) -> tuple[Evidence, Finding | None]:
        during()
        known = evidence(half, number=challenger.number)
        if champion is None:
            return replace(known, champion=None, comparison=None), None
        assert known.champion is not None
        return replace(known, champion=replace(known.champion, number=champion.number)), None

    return gather


CLEAR, UNCLEAR = 0.02, 0.07


def decide(half: float, **options: object) -> int:
    return promote(PARAMS, evidence_of=found(half), **options).status  # type: ignore[arg-type]


def test_first_better_unclear_forced_and_back(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    add(registry)
    assert decide(CLEAR) == 0
    assert capsys.readouterr().out.startswith(
        "version 1 of trial-model promoted as the first: test AP 0.5600, all rules hold\n"
    )
    assert registry.aliases() == {CHALLENGER: 1, CHAMPION: 1}
    add(registry)
    assert decide(CLEAR) == 0
    assert registry.aliases() == {CHALLENGER: 2, CHAMPION: 2, PREVIOUS: 1}
    add(registry)
    assert decide(UNCLEAR) == REFUSED
    assert "version 3 of trial-model refused against version 2: AP difference: 0.5000 -> " in (
        capsys.readouterr().out
    )
    assert registry.aliases() == {CHALLENGER: 3, CHAMPION: 2, PREVIOUS: 1}
    assert decide(UNCLEAR, forced="the client asked for it") == 0
    assert registry.aliases() == {CHALLENGER: 3, CHAMPION: 3, PREVIOUS: 2}
    version = registry.with_number(3)
    assert version is not None
    assert version.tags["forced"] == "the client asked for it"
    assert version.tags["decision.verdict"] == "forced"
    assert "no difference shown" in version.tags["decision"]
    told = rollback.rollback(CONFIG, reason="too slow")
    assert (told.champion, told.instead_of) == (2, 3)
    assert told.sentence == (
        "version 2 of trial-model is the champion again, version 3 is previous: too slow"
    )
    assert registry.aliases() == {CHALLENGER: 3, CHAMPION: 2, PREVIOUS: 3}
    rollback.rollback(CONFIG)
    assert registry.aliases()[CHAMPION] == 3
    rollback.rollback(CONFIG, 1)
    assert registry.aliases() == {CHALLENGER: 3, CHAMPION: 1, PREVIOUS: 3}


def test_decision_is_a_page_and_a_run(registry: Registry) -> None:
    add(registry)
    decide(CLEAR)
    add(registry)
    assert decide(UNCLEAR) == REFUSED
    folder = Path("reports/promotion/trial-model-2-against-1")
    content = json.loads((folder / "promotion.json").read_text())
    assert (content["verdict"], content["promote"]) == ("refused", False)
    assert [rule["name"] for rule in content["rules"] if not rule["passed"]] == ["AP difference"]
    assert "no difference shown" in (folder / "promotion.html").read_text()
    versions = (folder / "promotion.md").read_text().partition("## Versions")[2].split("\n")
    assert versions[2] == "|  | version | AP | AP50 | ms an image (CPU) | MB | classes |"
    assert versions[4:6] == [
        "| challenger | 2 | 0.5600 | 0.8500 | 10.00 | 20.0 | 2 |",
        "| champion | 1 | 0.5000 | 0.8000 | 10.00 | 20.0 | 2 |",
    ]
    newest = runs(open_store(), "promote")[-1]
    assert newest.data.tags["promotion.verdict"] == "refused"
    assert newest.data.metrics["promotion/AP_difference"] == pytest.approx(0.06)
    version = registry.with_number(2)
    assert version is not None
    assert version.tags["decision.run"] == newest.info.run_id
    assert "promotion.html" in files(open_store(), newest.info.run_id)


def test_a_decision_on_what_the_training_has_seen_says_so(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    def on(split: str) -> Gather:
        def gather(*given: object) -> tuple[Evidence, Finding | None]:
            known, finding = found(CLEAR)(*given)  # type: ignore[arg-type]
            return replace(known, split=split), finding

        return gather

    add(registry)
    folder = Path("reports/promotion/trial-model-1")
    promote(PARAMS, dry_run=True, evidence_of=on("test"))
    assert json.loads((folder / "promotion.json").read_text())["optimistic"] is None
    assert "optimistic" not in (folder / "promotion.md").read_text()
    capsys.readouterr()
    promote(PARAMS, evidence_of=on("val"))
    assert capsys.readouterr().out.startswith(
        "version 1 of trial-model promoted as the first: val AP 0.5600, all rules hold"
        " (optimistic: a training chooses its checkpoint by the val split)\n"
    )
    why = "a training chooses its checkpoint by the val split"
    assert json.loads((folder / "promotion.json").read_text())["optimistic"] == why
    text = (
        f"The figures are **optimistic**: {why}; on new images expect less. Images under `test:` in"
        " the data set's description, which nothing else uses, would say how much."
    )
    assert text in (folder / "promotion.md").read_text()
    assert runs(open_store(), "promote")[-1].data.tags["optimistic"] == why


def test_dry_run_changes_nothing(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    add(registry)
    assert decide(CLEAR, dry_run=True) == 0
    assert "(dry run: nothing was changed)" in capsys.readouterr().out
    assert registry.aliases() == {CHALLENGER: 1}
    version = registry.with_number(1)
    assert version is not None
    assert not version.tags
    assert runs(open_store(), "promote") == []


def test_what_the_rules_accept_waits_for_a_person_who_says_yes_or_no(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    number = add(registry)
    held = promote(PARAMS, evidence_of=found(CLEAR), hold=True)
    assert (held.verdict, held.version, held.status) == ("awaiting approval", number, 3)
    assert registry.aliases() == {"challenger": number}
    assert "waits for approval: `pipeline promote --version 1`" in capsys.readouterr().out

    def no() -> Decided:
        return decline(PARAMS, None, "too few night scenes", "ann")

    assert no().status == REFUSED
    assert "declined by ann: too few night scenes" in capsys.readouterr().out
    again = promote(PARAMS, evidence_of=found(CLEAR), new_only=True)
    assert (again.verdict, again.status) == ("declined", 3)
    assert registry.aliases() == {"challenger": number}

    assert decide(CLEAR, by="bob") == 0  # another word
    version = registry.with_number(number)
    assert version is not None
    assert version.tags["decision.by"] == "bob"
    with pytest.raises(ValueError, match="version 1 is the champion: take it back with"):
        no()


def test_champion_already(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    add(registry)
    decide(CLEAR)
    capsys.readouterr()
    assert decide(CLEAR) == 0
    assert capsys.readouterr().out == "version 1 of trial-model is the champion already\n"


def test_of_two_promotions_at_once_one_wins(registry: Registry) -> None:
    add(registry)
    decide(CLEAR)
    second, third = add(registry), add(registry)
    # while the third is being measured, the second is promoted
    overtaking = found(CLEAR, lambda: decide(CLEAR, number=second))
    with pytest.raises(ValueError, match=r"got another champion meanwhile \(version 2 instead of"):
        promote(PARAMS, number=third, evidence_of=overtaking)
    assert registry.aliases()[CHAMPION] == second


def test_moves_wait_for_one_another(registry: Registry) -> None:
    """Of eight at once from the same champion, exactly one succeeds."""
    add(registry)
    decide(CLEAR)
    numbers = [add(registry) for _ in range(8)]
    won: list[int] = []

    def move(number: int) -> None:
        try:
            aliases.move_champion(Registry(CONFIG), number, expected=1)
        except ValueError:
            return
        won.append(number)

    threads = [threading.Thread(target=move, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    found_aliases = registry.aliases()
    assert (found_aliases[CHAMPION], found_aliases[PREVIOUS]) == (won[0], 1)
    names = [model.name for model in registry.store.client.search_registered_models()]
    assert names == [registry.name]


def test_what_a_killed_process_left_is_finished(registry: Registry) -> None:
    """It had written down what it intended, moved the champion, and died with the lock."""
    add(registry)
    decide(CLEAR)
    add(registry)
    client, name = registry.store.client, registry.name
    client.set_registered_model_tag(name, aliases.INTENDED, json.dumps({CHAMPION: 2, PREVIOUS: 1}))
    registry.set_alias(CHAMPION, 2)
    dead = json.dumps({"host": "another-machine", "pid": "1", "pid.started": "", "since": 1})
    client.create_registered_model(aliases.LOCK.format(name), description=dead)
    waited: list[float] = []
    with aliases.one_at_a_time(registry, patience=1.0, wait=waited.append):
        assert registry.aliases() == {CHALLENGER: 2, CHAMPION: 2, PREVIOUS: 1}
    assert sum(waited) == pytest.approx(1.0)
    assert registry.tag(aliases.INTENDED) is None
    assert rollback.rollback(CONFIG).sentence.startswith(
        "version 1 of trial-model is the champion again"
    )


def test_nothing_to_decide_on(registry: Registry) -> None:
    with pytest.raises(
        ValueError, match="no version of trial-model is the challenger: run `pipeline reg"
    ):
        decide(CLEAR)
    with pytest.raises(ValueError, match="trial-model has no champion, so nothing to roll back"):
        rollback.rollback(CONFIG)
    add(registry)
    with pytest.raises(ValueError, match="no version of trial-model has the number 7"):
        decide(CLEAR, number=7)
    with pytest.raises(ValueError, match="version 1 has no tag 'AP': it was not registered by"):
        promote(PARAMS)
    decide(CLEAR)
    with pytest.raises(ValueError, match="version 1 is the only champion that trial-model has had"):
        rollback.rollback(CONFIG)
    with pytest.raises(ValueError, match=r"trial-model has no version 5 \(it has: 1\)"):
        rollback.rollback(CONFIG, 5)


@pytest.mark.parametrize(
    "options", [["--force"], ["--reason", "a hotfix"], ["--force", "--reason= "]]
)
def test_force_needs_a_reason(options: list[str]) -> None:
    with pytest.raises(ValueError, match="^--force and --reason TEXT go together: who forces says"):
        cli.run(["promote", *options])
