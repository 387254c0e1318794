"""Whether the process that writes to a run still lives, and which call of DVC one belongs to."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.running import processes
from pipeline.running.processes import VARIABLE, current_invocation, is_dvc

ROOT = Path(__file__).resolve().parents[3]


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


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("dvc repro", True),
        ("/venv/bin/python3 /venv/bin/dvc exp run --temp", True),
        ("/venv/bin/python -m dvc repro --single-item train", True),
        ("python3.11 -X dev -u -m dvc exp exec-run --infofile x", True),
        ("python -m pipeline.train dvc", False),
        ("python train.py dvc", False),
        ("bash dvc", False),
        ("python", False),
        ("", False),
    ],
)
def test_command_lines_of_dvc(command: str, expected: bool) -> None:
    assert is_dvc(command.split()) is expected


def test_a_shell_that_is_told_to_run_dvc_is_not_dvc() -> None:
    assert not is_dvc(["sh", "-c", "dvc repro"])


def test_a_flow_s_call_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "flow-7")
    assert current_invocation() == "flow-7"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not tell")
def test_processes_below_one_call_agree_however_deep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    own = tmp_path / "stage"
    own.write_text("from pipeline.running.processes import current_invocation as f\nprint(f())\n")
    stage = f"{sys.executable} {own}"
    dvc = tmp_path / "dvc"
    dvc.write_text(
        "import subprocess\n"
        f"for command in ({stage!r}, {'sh -c ' + repr(stage) + '; true'!r}):\n"
        "    subprocess.run(command, shell=True, check=True)\n"
    )

    def call(program: Path) -> list[str]:
        command = [sys.executable, str(program)]
        environment = {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.split()

    one, same = call(dvc)
    (other, _), (outside,) = call(dvc), call(own)
    assert len(one) == 16
    assert one == same != other
    assert outside in ("None", current_invocation())  # the tests may run below DVC themselves
