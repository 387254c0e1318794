import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from flows.steps.workspace import LOCK, WorkspaceBusyError, in_use, sole_pipeline


def test_second_run_is_told_who_is_at_work(tmp_path: Path) -> None:
    expected = (
        rf"another pipeline run \(process {os.getpid()}\) is at work in {tmp_path}:"
        rf" wait for its end, or stop it with `kill {os.getpid()}`"
    )
    with sole_pipeline(tmp_path):
        for _ in range(2):  # asking does not take the holder's name away
            with pytest.raises(WorkspaceBusyError, match=expected), sole_pipeline(tmp_path):
                pass
    with sole_pipeline(tmp_path):
        pass


def test_a_look_tells_whether_a_pipeline_is_at_work(tmp_path: Path) -> None:
    assert not in_use(tmp_path)
    assert not (tmp_path / LOCK).exists()
    with sole_pipeline(tmp_path):
        assert in_use(tmp_path)
        assert in_use(tmp_path)
    assert not in_use(tmp_path)


def test_a_look_does_not_make_a_run_end_that_begins_during_it(tmp_path: Path) -> None:
    with sole_pipeline(tmp_path):
        pass
    with (tmp_path / LOCK).open() as look:
        fcntl.flock(look, fcntl.LOCK_SH)
        looked = time.monotonic() + 0.3
        threading.Timer(0.3, fcntl.flock, [look, fcntl.LOCK_UN]).start()
        with sole_pipeline(tmp_path):
            assert time.monotonic() >= looked


def test_looks_without_a_pause_hinder_no_run(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
from flows.steps.workspace import in_use
print("looking", flush=True)
while True:
    in_use(Path({str(tmp_path)!r}))
"""
    command = [sys.executable, "-c", program]
    root = Path(__file__).resolve().parents[3]
    with sole_pipeline(tmp_path):
        pass
    looking = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root)
    assert looking.stdout is not None
    looking.stdout.readline()
    try:
        for _ in range(200):
            with sole_pipeline(tmp_path):
                pass
    finally:
        looking.kill()
        looking.communicate()


def test_folders_do_not_hinder_each_other(tmp_path: Path) -> None:
    with sole_pipeline(tmp_path / "a") as one, sole_pipeline(tmp_path / "b") as other:
        held = [os.fstat(lock).st_ino for lock in (one, other)]
    assert held == [(tmp_path / name / LOCK).stat().st_ino for name in ("a", "b")]


def test_child_keeps_the_lock_when_the_flow_has_died(tmp_path: Path) -> None:
    program = f"""
import os, subprocess, sys
from pathlib import Path
from flows.steps.workspace import sole_pipeline
with sole_pipeline(Path({str(tmp_path)!r})) as lock:
    child = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    subprocess.Popen(child, stdin=0, stdout=subprocess.DEVNULL, pass_fds=[lock])
    os.kill(os.getpid(), 9)
"""
    flow = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[3],
    )
    assert flow.stdin is not None
    assert flow.stdout is not None
    assert flow.wait(20) == -9
    with (
        pytest.raises(WorkspaceBusyError, match="was killed and its last stage is still being end"),
        sole_pipeline(tmp_path),
    ):
        pass
    assert in_use(tmp_path)
    flow.stdin.close()  # ends the child
    flow.stdout.close()
    for _ in range(100):
        try:
            with sole_pipeline(tmp_path):
                return
        except WorkspaceBusyError:
            subprocess.run(["sleep", "0.1"], check=True)
    pytest.fail(f"{LOCK} was not released")


def test_waiting_run_begins_when_the_other_has_ended(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
from flows.steps.workspace import sole_pipeline
with sole_pipeline(Path({str(tmp_path)!r}), wait=True, tell=lambda text: print(text, flush=True)):
    print("at work", flush=True)
"""
    with sole_pipeline(tmp_path):
        waiting = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parents[3],
        )
        assert waiting.stdout is not None
        told = waiting.stdout.readline()
        assert told.startswith(f"waiting: another pipeline run (process {os.getpid()}) is at work")
    assert waiting.communicate(timeout=30)[0] == "at work\n"
    assert waiting.returncode == 0
