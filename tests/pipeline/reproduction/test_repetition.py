"""A repetition computes as the original did, or says beforehand that it cannot."""

import os
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
import yaml

from pipeline.reproduction.passes import Pass, find_source
from pipeline.reproduction.repetition import (
    by_threads,
    other_machine,
    same_number_format,
    with_threads,
)
from pipeline.tracking.runs import log_evaluation, open_training_run
from pipeline.workspace.copies import override
from pipeline.workspace.identity import hardware_here
from tests.pipeline.tracked import CONFIG, KEY, PARAMETERS, identity

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "MKL_DYNAMIC", "OMP_THREAD_LIMIT", "OMP_DYNAMIC")


def environment(**own: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in THREADS} | own


def threads_in(found: dict[str, str]) -> dict[str, str]:
    return {name: found[name] for name in THREADS if name in found}


def test_threads_are_the_originals(tmp_path: Path) -> None:
    one = environment(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OMP_THREAD_LIMIT="1")
    found, said = with_threads(tmp_path, one, "2")
    assert said == "threads: 2, as the original had (here it would be 1)"
    assert threads_in(found).items() >= {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}.items()
    assert "OMP_THREAD_LIMIT" not in found
    found, said = with_threads(tmp_path, one, "1")
    assert said == "threads: 1, as the original had"
    assert threads_in(found) == {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def test_more_threads_than_cores(tmp_path: Path) -> None:
    many = str((os.cpu_count() or 1) + 5)
    found, said = with_threads(tmp_path, environment(OMP_NUM_THREADS="1"), many)
    assert said == f"threads: {many}, as the original had (here it would be 1)"
    assert found["OMP_NUM_THREADS"] == many


def test_threads_that_cannot_be_had_are_said(tmp_path: Path) -> None:
    # a torch that heeds no environment, first on the path of a program started in this folder
    (tmp_path / "torch.py").write_text("def get_num_threads():\n    return 3\n")
    given = environment(OMP_NUM_THREADS="1")
    found, said = with_threads(tmp_path, given, "4")
    assert found == given
    assert said == (
        "threads: 3, where the original had 4, which this machine does not give: other weights"
        " are to be expected"
    )
    assert with_threads(tmp_path, given, None) == (
        given,
        "threads: 3; the original's number is not known",
    )


def test_stages_run_with_the_threads_of_each() -> None:
    stages = ["digits", "train", "evaluate", "export"]
    known = Pass(training="a", threads={"train": "2", "evaluate": "1"})
    assert by_threads(stages, known) == [
        ("2", ["digits", "train"]), ("1", ["evaluate"]), ("2", ["export"]),
    ]  # fmt: skip
    assert by_threads(stages, Pass(training="a")) == [(None, stages)]


def test_threads_and_number_format_are_read_from_the_runs(repository: Path) -> None:
    two, one = (identity(hardware={"threads": number}) for number in ("2", "1"))
    folder = repository / "folder"
    folder.mkdir()
    (folder / "environment.json").write_text('{"number_format": "bf16", "threads": 2}')
    with open_training_run(CONFIG, parameters=PARAMETERS, key=KEY, identity=two) as run:
        run.log_artifacts([folder / "environment.json"], "training")
    log_evaluation(
        CONFIG,
        training_run={"run_id": run.run_id, "model_id": run.model_id, "key": KEY},
        parameters=PARAMETERS,
        metrics={"AP": 0.5},
        artifacts=[],
        identity=one,
    )
    _, found = find_source(CONFIG, run.run_id)
    assert found.threads == {"train": "2", "evaluate": "1"}
    assert found.hardware == {"threads": "2", "number_format": "bf16"}


def params(folder: Path, **train: str) -> Path:
    file = folder / "params.yaml"
    file.write_text(yaml.safe_dump({"train": {"device": "cpu", "amp": "auto"} | train}))
    return file


def original(number_format: str | None) -> Pass:
    known = {} if number_format is None else {"number_format": number_format}
    return Pass(training="a", hardware=known)


@pytest.fixture
def without_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)


@pytest.mark.usefixtures("without_bfloat16")
def test_number_format_is_the_originals(tmp_path: Path) -> None:
    file = params(tmp_path)
    changes, said = same_number_format(file, original("bf16"))
    assert said == ["number format: bf16, as the original had (here it would be off)"]
    override(file, changes)
    assert yaml.safe_load(file.read_text())["train"]["amp"] == "bf16"
    assert same_number_format(file, original("bf16")) == ([], [])
    assert same_number_format(params(tmp_path), original("off")) == ([], [])


@pytest.mark.usefixtures("without_bfloat16")
def test_number_format_that_cannot_be_had_is_said(tmp_path: Path) -> None:
    file = params(tmp_path)
    assert same_number_format(file, original("fp16")) == (
        [],
        ["number format: off, where the original had fp16, which needs a CUDA card: other weights"
         " are to be expected"],
    )  # fmt: skip
    assert same_number_format(file, original(None)) == (
        [],
        ["number format: off (amp: auto); the original's is not known"],
    )
    with pytest.raises(ValueError, match="amp: fp16 needs a CUDA card, and the device is cpu"):
        same_number_format(params(tmp_path, amp="fp16"), original("fp16"))


def test_another_machine_is_said() -> None:
    here = Pass(training="a", hardware=hardware_here(), versions={"torch": version("torch")})
    assert other_machine(here) == []
    hardware = {**here.hardware, "processor": "Z80", "threads": "9"}
    other = replace(here, hardware=hardware, versions={"torch": "1.0"})
    assert other_machine(other) == [
        f"processor Z80 -> {here.hardware['processor']}, torch 1.0 -> {version('torch')}: other"
        " weights are to be expected"
    ]
    assert other_machine(Pass(training="a")) == []
