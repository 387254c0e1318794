from pathlib import Path

import pytest

from pipeline.promote import REFUSED, decide, promote
from pipeline.registry import CHALLENGER, CHAMPION, PREVIOUS, Registry, Version
from tests.pipeline.tracked import CONFIG


@pytest.fixture
def registry(repository: Path) -> Registry:
    return Registry(CONFIG)


def add(registry: Registry, ap: float | None, data: str = "d" * 64, split: str = "test") -> int:
    """A version (without files) with these figures becomes challenger; its number."""
    client = registry.store.client
    if not client.search_registered_models():
        client.create_registered_model(registry.name)
    tags = {"split": split, "data_digest": data} | ({} if ap is None else {"AP": str(ap)})
    made = client.create_model_version(registry.name, source="file:///nowhere", tags=tags)
    registry.set_alias(CHALLENGER, int(made.version))
    return int(made.version)


def test_first_better_worse(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    add(registry, 0.50)
    assert promote(CONFIG) == 0
    assert capsys.readouterr().out == (
        "version 1 of trial-model promoted to champion: test AP 0.5000, and it is the first\n"
    )
    assert registry.aliases() == {CHALLENGER: 1, CHAMPION: 1}
    add(registry, 0.60)
    assert promote(CONFIG) == 0
    assert "test AP 0.6000 is higher than the 0.5000 of the champion, version 1, on the same" in (
        capsys.readouterr().out
    )
    assert registry.aliases() == {CHALLENGER: 2, CHAMPION: 2, PREVIOUS: 1}
    add(registry, 0.55)
    assert promote(CONFIG) == REFUSED
    assert "version 3 of trial-model refused: test AP 0.5500 is not higher than the 0.6000" in (
        capsys.readouterr().out
    )
    assert registry.aliases() == {CHALLENGER: 3, CHAMPION: 2, PREVIOUS: 1}
    refused = registry.with_alias(CHALLENGER)
    assert refused is not None
    assert "is not higher" in refused.tags["decision"]


def test_equal_is_not_better(registry: Registry) -> None:
    add(registry, 0.5)
    promote(CONFIG)
    add(registry, 0.5)
    assert promote(CONFIG) == REFUSED


def test_champion_already(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    add(registry, 0.5)
    promote(CONFIG)
    capsys.readouterr()
    assert promote(CONFIG) == 0
    assert capsys.readouterr().out == "version 1 of trial-model is the champion already\n"
    assert registry.aliases() == {CHALLENGER: 1, CHAMPION: 1}


@pytest.mark.parametrize(("data", "split"), [("e" * 64, "test"), ("d" * 64, "val")])
def test_other_data_is_refused(
    registry: Registry, capsys: pytest.CaptureFixture[str], data: str, split: str
) -> None:
    add(registry, 0.5)
    promote(CONFIG)
    capsys.readouterr()
    add(registry, 0.9, data, split)
    assert promote(CONFIG) == REFUSED
    assert capsys.readouterr().out == (
        f"version 2 of trial-model refused: it was evaluated on other data ({split} {data[:12]})"
        " than the champion, version 1 (test dddddddddddd): evaluate both on the same data\n"
    )
    assert registry.aliases() == {CHALLENGER: 2, CHAMPION: 1}


def test_nothing_to_decide_on(registry: Registry) -> None:
    with pytest.raises(ValueError, match="no version of trial-model is the challenger: run `pyth"):
        promote(CONFIG)
    add(registry, None)
    with pytest.raises(ValueError, match="version 1 has no tag 'AP': it was not registered by"):
        promote(CONFIG)


def test_average_precision_is_compared_as_a_number() -> None:
    tags = {"split": "test", "data_digest": "d"}
    low = Version(number=1, run_id="", tags=tags | {"AP": "9e-05"})
    high = Version(number=2, run_id="", tags=tags | {"AP": "0.1"})
    assert decide(high, low).promote
    assert not decide(low, high).promote
