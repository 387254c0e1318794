"""``pipeline params upgrade``: files as people have them from version 0.1."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline import cli
from pipeline.params.presets import DEMO, render
from pipeline.params.schema import load
from pipeline.params.upgrade import upgrade

ORIGINAL = Path(__file__).with_name("params-0.1.yaml")
"""As version 0.1 shipped it (commit da75453)."""
MOVED = ("device", "num_workers", "cache", "log_every", "checkpoint")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str) -> Path:
    path = Path("params.yaml")
    path.write_text(text)
    return path


def test_the_shipped_file_of_0_1_becomes_the_demo_of_today(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(ORIGINAL.read_text())
    with pytest.raises(ValueError, match="unknown key 'train"):
        load()
    assert cli.run(["params", "upgrade"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"train.{key} is machine.{key} now" for key in MOVED
    ]
    assert load() == DEMO
    assert Path("params.yaml.bak").read_text() == ORIGINAL.read_text()
    assert sorted(p.name for p in here.iterdir()) == ["params.yaml", "params.yaml.bak"]
    # every line that stays is as it was, and nothing is written that was not there
    lines = ORIGINAL.read_text().splitlines()
    new = path.read_text().splitlines()
    assert sorted(new) == sorted([*lines, "machine:"])
    assert [line for line in new if line in lines[:3]] == lines[:3]
    upgraded = path.read_text()
    assert cli.run(["params", "upgrade"]) == 0
    assert capsys.readouterr().out == "params.yaml is of this version already\n"
    assert path.read_text() == upgraded
    assert Path("params.yaml.bak").read_text() == ORIGINAL.read_text()


MINE = """\
# our project
data:
  config: 'mine/data.yaml' # where the yard is
train: # slowly
  lr: 1e-3 # found by the sweep of May
  # the second card
  device: "cuda:1" # not the screen's
  num_workers: 7
  # saved often: the machine is switched off at night
  checkpoint:
    every_minutes: 1.5 # minutes
    keep: 3
  seed: 4
# by hand
evaluate:
  split: val
"""


def test_comments_and_values_are_kept(here: Path) -> None:
    path = write(MINE)
    assert upgrade() == [
        f"train.{key} is machine.{key} now" for key in ("device", "num_workers", "checkpoint")
    ]
    text = path.read_text()
    assert re.findall("#.*", text) != []
    assert sorted(re.findall("#.*", text)) == sorted(re.findall("#.*", MINE))
    assert 'device: "cuda:1" # not the screen\'s\n' in text
    assert "config: 'mine/data.yaml' # where the yard is\n" in text
    assert "lr: 1e-3 # found by the sweep of May\n" in text
    assert YAML(typ="safe").load(text) == {
        "data": {"config": "mine/data.yaml"},
        "train": {"lr": 1e-3, "seed": 4},
        "machine": {
            "device": "cuda:1",
            "num_workers": 7,
            "checkpoint": {"every_minutes": 1.5, "keep": 3},
        },
        "evaluate": {"split": "val"},
    }
    params = load()
    assert (params.machine.device, params.machine.checkpoint.keep) == ("cuda:1", 3)
    assert params.train.lr == 0.001


@pytest.mark.parametrize("machine", ["machine:\n", "machine: {}\n", "machine:\n  threads: 2\n"])
def test_a_section_machine_that_is_there_is_added_to(here: Path, machine: str) -> None:
    write(machine + "train:\n  cache: disk\n  lr: 0.5\n")
    upgrade()
    params = load()
    assert (params.machine.cache, params.train.lr) == ("disk", 0.5)
    assert params.machine.threads == (2 if "threads" in machine else 0)


def test_what_machine_says_already_stays(here: Path) -> None:
    write("train:\n  device: cpu\n  cache: disk\nmachine:\n  device: cuda\n")
    assert upgrade() == [
        "train.device: cpu is gone: machine.device: cuda was there already",
        "train.cache is machine.cache now",
    ]
    assert (load().machine.device, load().machine.cache) == ("cuda", "disk")


def test_train_that_held_nothing_else(here: Path) -> None:
    write("train:\n  device: cpu\n")
    upgrade()
    assert load().machine.device == "cpu"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train:\n  device: cpu\n  epochs: many\n", r"^params.yaml:\d: train.epochs: Input should"),
        ("train:\n  device: cpu\n  epoch: 3\n", "^params.yaml:2: unknown key 'train.epoch'"),
        ("train:\n  device: cpu\n  num_workers: -1\n", "machine: num_workers must be between 0"),
        ("train:\n  device: cpu\ntrian: {}\n", "^params.yaml:3: unknown key 'trian'"),
        ("train:\n  device: cpu\nmachine: 3\n", "^params.yaml:3: machine must hold settings"),
        ("train: [\n", "^params.yaml cannot be read as YAML"),
        ("train:\n  epochs: 0\n", "epochs must be between 1"),
        ("- a\n", "^params.yaml must hold sections"),
    ],
)
def test_a_file_that_is_wrong_in_another_way_is_left_as_it_is(
    here: Path, text: str, said: str
) -> None:
    path = write(text)
    with pytest.raises(ValueError, match=said) as caught:
        upgrade()
    assert "\n" not in str(caught.value)
    assert path.read_text() == text
    assert [p.name for p in here.iterdir()] == ["params.yaml"]


def test_no_file(here: Path) -> None:
    with pytest.raises(ValueError, match=r"^params.yaml not found: run from the repository's root"):
        upgrade()


def test_what_is_written_today_needs_no_upgrade(here: Path) -> None:
    write(render("demo", DEMO))
    assert upgrade() == ["params.yaml is of this version already"]
