"""What the system refuses to the recorder is told, and fails nothing that is computed."""

import errno
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline.running import recorder
from pipeline.running.recorder import ENDED, RESULT, START, Recorder
from yolov2.files import write_json

NO_PROCESS = OSError(errno.EAGAIN, "Resource temporarily unavailable")
FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recording that was begun."""
    write_json(tmp_path / "one" / START, {"began": 1.0})
    return tmp_path / "one"


def refuse(monkeypatch: pytest.MonkeyPatch, where: object, name: str, error: OSError) -> None:
    def fail(*given: Any, **named: Any) -> None:
        raise error

    monkeypatch.setattr(where, name, fail)


def test_no_process_can_be_started(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(monkeypatch, subprocess, "Popen", NO_PROCESS)
    monkeypatch.setattr(recorder, "RESTARTS", 0)
    one = Recorder(folder=folder, program="follow")
    one.start()
    assert not one.keep_alive()
    one.finish("FINISHED")
    refused, waits = capsys.readouterr().err.splitlines()
    assert refused == f"this cannot be recorded: {NO_PROCESS}"
    assert waits.startswith(f"not all is in MLflow yet; it waits in {folder}: ")
    assert recorder.read(folder, ENDED) == {"status": "FINISHED"}  # the recording stays


def test_a_process_that_can_be_started_later_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Recorder(folder=folder, program="follow")
    with monkeypatch.context() as busy:
        refuse(busy, subprocess, "Popen", NO_PROCESS)
        one.start()
    monkeypatch.setattr(recorder, "_start", lambda *given: subprocess.Popen(["true"]))
    assert one.keep_alive()
    assert one.process is not None
    one.process.wait()


def test_a_recording_that_cannot_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(monkeypatch, recorder, "write_json", FULL)
    refuse(monkeypatch, recorder, "write_text", FULL)
    recorder.add_notice(folder, "a batch was halved")
    Recorder(folder=folder, program="follow").finish("FINISHED")
    assert not recorder.hand_over(folder, {}, {})
    assert not folder.exists()  # it comes to nothing
    assert capsys.readouterr().err.splitlines() == [f"this cannot be recorded: {FULL}"] * 3


def test_a_recording_that_is_no_folder_any_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").write_text("")
    one = Recorder(folder=tmp_path / "gone", program="record")
    assert not one.keep_alive()
    one.finish("FAILED")
    assert not recorder.hand_over(one.folder, {}, {"a": tmp_path / "gone"})
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert all(line.startswith("this cannot be recorded: [Errno ") for line in said)


def test_what_is_handed_over(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    assert recorder.hand_over(folder, {"digest": "0"}, {"evaluate/a.csv": tmp_path / "a.csv"})
    assert recorder.read(folder, RESULT) == {"digest": "0"}
    assert (folder / recorder.FILES / "evaluate/a.csv").read_text() == "x"
