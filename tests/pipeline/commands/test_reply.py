"""``--json``: one document on standard output, whatever else is said meanwhile."""

import json
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest

from docs.reference import subcommands
from pipeline import cli
from pipeline.commands.reply import replying
from pipeline.registry.models import PREVIOUS, Registry
from tests.pipeline import tracked
from tests.pipeline.tracked import CONFIG

NOTHING_TO_READ = {
    *(
        "data add",
        "data demo",
        "params use",
        "params check",
        "params upgrade",
        "plots",
        "serve",
        "sweep",
    ),
    *("track import", "track reap", "track send"),
}
"""Commands whose answer is what they have done; the exit status says whether."""


def _commands(parser: ArgumentParser, before: str = "") -> dict[str, ArgumentParser]:
    below = subcommands(parser)
    if not below:
        return {before.strip(): parser}
    found: dict[str, ArgumentParser] = {}
    for name, each in below.items():
        found |= _commands(each, f"{before} {name}")
    return found


def test_every_command_with_something_to_read_has_json() -> None:
    commands = _commands(cli.build_parser())
    assert len(commands) > 20
    without = {name for name, each in commands.items() if "--json" not in each.format_help()}
    assert without == NOTHING_TO_READ


@pytest.mark.parametrize("as_json", [True, False])
def test_what_is_said_meanwhile_stays_out_of_the_answer(
    as_json: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "answer.json"
    with replying(as_json, file) as reply:
        print("a line")
        subprocess.run([sys.executable, "-c", "print('a program')"], check=True)
        reply({"a": 1}, "one", "two")
    told = capfd.readouterr()
    assert json.loads(file.read_text()) == {"a": 1}
    if as_json:
        assert json.loads(told.out) == {"a": 1}
        assert set(told.err.split("\n")) == {"a line", "a program", ""}
    else:
        assert set(told.out.split("\n")) == {"a line", "a program", "one", "two", ""}
        assert told.err == ""


def test_no_answer_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no"), replying(True):
        raise ValueError("no")
    print("heard")
    assert capfd.readouterr().out == "heard\n"


def test_the_way_of_a_model(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Registered, standing, promoted, asked again, rolled back, views."""
    tracked.leave_result(repository)
    section = f"{{experiment: {CONFIG.experiment}, model_name: {CONFIG.model_name}}}"
    Path("params.yaml").write_text(f"tracking: {section}\n")
    capfd.readouterr()

    def asked(*words: str, status: int = 0) -> dict[str, object]:
        assert cli.run([*words, "--json"]) == status
        found = json.loads(capfd.readouterr().out)
        assert isinstance(found, dict)
        return found

    done = asked("register")
    assert done["version"] == 1
    assert str(done["sentence"]).startswith("registered version 1 of trial-model: test AP 0.5")
    assert isinstance(done["runs"], dict)
    assert list(done["runs"]) == ["training", "evaluation"]
    found = asked("standing")
    assert (found["pending"], found["sentence"]) == (
        True,
        "version 1 of trial-model waits for a decision: `pipeline promote`",
    )
    assert isinstance(found["aliases"], dict)
    assert found["aliases"]["challenger"]["version"] == 1
    assert found["aliases"]["challenger"]["tags"]["AP"] == "0.500000"
    assert asked("promote", "--hold", status=3)["verdict"] == "awaiting approval"
    declined = asked("promote", "--decline", "too few", "--by", "ann", status=3)
    assert declined == {
        "verdict": "declined",
        "sentence": "version 1 of trial-model declined by ann: too few",
        "version": 1,
        "page": None,
    }
    promoted = asked("promote", "--summary", "told.json")
    assert (promoted["verdict"], promoted["version"]) == ("promoted", 1)
    assert Path(str(promoted["page"])).is_file()
    assert json.loads(Path("told.json").read_text()) == promoted
    assert asked("promote")["verdict"] == "champion already"
    registry = Registry(CONFIG)
    registry.store.client.create_model_version(registry.name, source="file:///no/such/folder")
    registry.set_alias(PREVIOUS, 2)
    assert asked("rollback", "--reason", "slow") == {
        "champion": 2,
        "instead_of": 1,
        "sentence": ("version 2 of trial-model is the champion again, version 1 is previous: slow"),
    }
    assert cli.run(["views", "--json"]) == 0
    views = json.loads(capfd.readouterr().out)
    assert [view["name"] for view in views] == [
        "Evaluations on test, best first",
        "Trainings, newest first",
    ]
    assert all(view["table"].startswith("http") for view in views)
