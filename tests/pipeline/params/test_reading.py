"""Sections read alone: each stage complains about its own, and about nothing else."""

from dataclasses import fields
from pathlib import Path

import pytest

from pipeline.params.reading import MOVED, SECTIONS, read_document, read_section
from pipeline.params.schema import Params, load
from pipeline.params.tracking import TrackingConfig
from yolov2.config.evaluate import EvaluateConfig
from yolov2.config.machine import CheckpointConfig, MachineConfig
from yolov2.config.train import TrainConfig


def write(folder: Path, text: str) -> Path:
    path = folder / "params.yaml"
    path.write_text(text)
    return path


def test_sections_are_those_of_the_whole() -> None:
    assert tuple(field.name for field in fields(Params)) == SECTIONS


def test_a_section_alone_is_that_of_the_whole(tmp_path: Path) -> None:
    path = write(tmp_path, "train:\n  lr: 0.25\n  lr_steps: [3, 5]\nmachine:\n  threads: 2\n")
    assert read_section("train", TrainConfig, path) == load(path).train
    assert read_section("machine", MachineConfig, path) == MachineConfig(threads=2)


@pytest.mark.parametrize("text", ["{}\n", "train:\n", "machine:\n  threads: 2\n"])
def test_what_is_absent_or_empty_has_its_defaults(tmp_path: Path, text: str) -> None:
    assert read_section("train", TrainConfig, write(tmp_path, text)) == TrainConfig()


@pytest.mark.parametrize(
    "other", ["train:\n  epochs: many\n", "train:\n  nonsense: 1\n", "train: 3\n", "flows: [1]\n"]
)
def test_mistakes_of_other_sections_are_not_told(tmp_path: Path, other: str) -> None:
    path = write(tmp_path, other + "evaluate:\n  seed: 3\n")
    assert read_section("evaluate", EvaluateConfig, path).seed == 3
    assert read_section("tracking", TrackingConfig, path) == TrackingConfig()
    with pytest.raises(ValueError, match="params.yaml:"):
        load(path)


def test_a_section_that_nothing_reads_is_told_by_each(tmp_path: Path) -> None:
    path = write(tmp_path, "evaluate:\n  seed: 3\ntrian:\n  lr: 1\n")
    with pytest.raises(ValueError, match="unknown key 'trian'") as caught:
        read_section("evaluate", EvaluateConfig, path)
    assert str(caught.value) == (
        f"{path}:3: unknown key 'trian'; known here: data, digits, validate, anchors, model, train,"
        " machine, evaluate, export, tracking, promote, flows, schedule"
    )


def test_a_mistake_of_its_own_has_file_line_key_and_value(tmp_path: Path) -> None:
    path = write(tmp_path, "evaluate:\n  seed: 3\ntrain:\n  lr: 1\n  epochs: many\n")
    with pytest.raises(ValueError, match="epochs") as caught:
        read_section("train", TrainConfig, path)
    assert str(caught.value).startswith(
        f"{path}:5: train.epochs: Input should be a valid integer, "
    )
    path = write(tmp_path, "train:\n  failure:\n    on_nam: stop\n")
    with pytest.raises(
        ValueError, match=r":3: unknown key 'train\.failure\.on_nam'; known here: on_"
    ):
        read_section("train", TrainConfig, path)


@pytest.mark.parametrize("key", MOVED)
def test_a_key_of_version_0_1_says_where_it_is_now(tmp_path: Path, key: str) -> None:
    value = "{keep: 2}" if key == "checkpoint" else "1"
    path = write(tmp_path, f"train:\n  lr: 1\n  {key}: {value}\n")
    said = (
        f"{path}:3: unknown key 'train.{key}' (since 0.2 it is machine.{key}: `pipeline params"
        " upgrade` moves it); known here: epochs, "
    )
    for read in (lambda: read_section("train", TrainConfig, path), lambda: load(path)):
        with pytest.raises(ValueError, match="since 0.2") as caught:
            read()
        assert str(caught.value).startswith(said)
    assert read_section("machine", MachineConfig, path) == MachineConfig()


def test_keys_that_moved_are_in_machine() -> None:
    assert set(MOVED) <= {field.name for field in fields(MachineConfig)}
    assert not set(MOVED) & {field.name for field in fields(TrainConfig)}


def test_the_same_name_elsewhere_is_no_key_that_moved(tmp_path: Path) -> None:
    path = write(tmp_path, "evaluate:\n  device: cpu\n")
    with pytest.raises(ValueError, match=r"unknown key 'evaluate.device'; known here: split"):
        read_section("evaluate", EvaluateConfig, path)


def test_nested_sections_and_lists(tmp_path: Path) -> None:
    path = write(tmp_path, "machine:\n  checkpoint:\n    every_minutes: 2\n")
    found = read_section("machine", MachineConfig, path)
    assert found.checkpoint == CheckpointConfig(every_minutes=2.0)


def test_no_text_file(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(b"train:\n  lr: \xff\n")
    with pytest.raises(ValueError, match="is not a UTF-8 text file"):
        read_document(path)
