import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.running import failure
from pipeline.running.entry import RECORD_VARIABLE, STAGE_VARIABLE
from pipeline.tracking.address import UnreachableError, plainly, unusable
from yolov2.termination import Terminated

ROOT = Path(__file__).resolve().parents[3]


def caused(error: Exception, by: Exception) -> Exception:
    error.__cause__ = by
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionError("gone"), "passing"),
        (UnreachableError("no answer"), "passing"),
        (caused(ValueError("could not send"), UnreachableError("no answer")), "passing"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk full"),
        (caused(RuntimeError("torch.save"), OSError(errno.ENOSPC, "full")), "disk full"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "input"),
        (ValueError("class 99 is out of range"), "input"),
        (ZeroDivisionError("division by zero"), "mistake"),
        (Terminated(), "stopped"),
    ],
)
def test_kind_of_a_failure(error: BaseException, kind: str) -> None:
    assert failure.kind_of(error) == kind


@pytest.mark.parametrize(
    ("text", "passing"),
    [
        ("API request to http://h/api failed with exception HTTPConnectionPool", True),
        ("API request to endpoint failed with error code 503 != 200", True),
        ("(sqlite3.OperationalError) database is locked", True),
        ("RESOURCE_DOES_NOT_EXIST: No Run with id=1 exists", False),
        ("API request to endpoint failed with error code 404 != 200", False),
    ],
)
def test_store_that_is_away_is_told_from_one_that_refuses(text: str, passing: bool) -> None:
    found = unusable("http://h:5000", RuntimeError(text))
    assert (failure.kind_of(found) == "passing") is passing


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "(pg8000.dbapi.ProgrammingError) {'S': 'FATAL', 'V': 'FATAL', 'C': '42501', 'M':"
            " 'permission denied for database \"m\"', 'F': 'postinit.c'}\n(Background on ...)",
            'permission denied for database "m"',
        ),
        ("{'S': 'FATAL', 'C': '3D000', 'M': \"it's not there\", 'R': 'x'}", "it's not there"),
        ("disk I/O error\n[SQL: SELECT 1]", "disk I/O error"),
        ("", ""),
    ],
)
def test_of_what_a_database_says_the_sentence_is_told(text: str, said: str) -> None:
    assert plainly(text) == said


def started(folder: Path, body: str, variable: str) -> subprocess.Popen[bytes]:
    program = (
        f"from pipeline.running.entry import run_stage\nimport os, time\ndef main():\n    {body}\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program + "run_stage(main)"],
        cwd=folder,
        env=os.environ | {variable: "train", "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("variable", [STAGE_VARIABLE, RECORD_VARIABLE])
def test_record_of_a_stage(tmp_path: Path, variable: str) -> None:
    assert started(tmp_path, "raise ConnectionError('gone')", variable).wait(60) == 1
    found = failure.read("train", tmp_path)
    assert found is not None
    assert (found.stage, found.kind, found.message) == ("train", "passing", "gone")
    assert started(tmp_path, "1 / 0", variable).wait(60) == 1
    found = failure.read("train", tmp_path)
    assert found is not None
    assert (found.kind, found.message) == ("mistake", "division by zero")
    assert started(tmp_path, "pass", variable).wait(60) == 0
    assert failure.read("train", tmp_path) is None


def test_stage_that_is_killed_leaves_word(tmp_path: Path) -> None:
    process = started(tmp_path, "open('up', 'w').close(); time.sleep(600)", STAGE_VARIABLE)
    deadline = time.monotonic() + 60
    while not (tmp_path / "up").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    found = failure.read("train", tmp_path)
    assert found is not None
    assert found.kind == "cut off"
    assert found.kind in failure.TRY_AGAIN
