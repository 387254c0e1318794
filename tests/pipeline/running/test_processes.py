"""Whether the process that writes to a run still lives."""

import os
import subprocess
import sys
import time

import pytest

from pipeline.running import processes


def test_this_process_lives_here() -> None:
    assert processes.is_here(processes.mark())
    assert processes.is_alive(processes.mark())


def test_another_machines_process_is_not_here() -> None:
    assert not processes.is_here(processes.mark() | {"host": "moon"})


def test_a_number_that_was_given_again_is_another_process() -> None:
    mark = processes.mark() | {"pid.started": "before the restart 17"}
    assert not processes.is_alive(mark)
    assert processes.is_alive({"pid": str(os.getpid())})  # of a run without that tag


@pytest.mark.parametrize("pid", ["", "no number", "4194999"])  # beyond the kernel's greatest
def test_no_process(pid: str) -> None:
    assert not processes.is_alive({"pid": pid})


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_a_dead_process_that_nobody_has_asked_for_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        mark = {"pid": str(child.pid), "pid.started": processes.started(str(child.pid)) or ""}
        assert processes.is_alive(mark)
        child.kill()
        for _ in range(1000):
            if not processes.is_alive(mark):
                break
            time.sleep(0.01)
        assert not processes.is_alive(mark)  # a zombie until `wait`
        os.kill(child.pid, 0)
