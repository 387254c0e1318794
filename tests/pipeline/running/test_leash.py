import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

LEASH = Path(__file__).resolve().parents[3] / "pipeline" / "running" / "leash.py"


def leash(program: str, grace: float = 10.0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(LEASH), sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"LEASH_GRACE_SECONDS": str(grace)},
    )


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("pass", 0),
        ("raise SystemExit(3)", 3),
        ("import os; os.kill(os.getpid(), 9)", 128 + 9),
    ],
)
def test_exit_status_is_the_commands(program: str, status: int) -> None:
    with leash(program) as process:
        assert process.wait(20) == status


def test_missing_command_is_one_line() -> None:
    command = [sys.executable, str(LEASH), "no-such-program"]
    done = subprocess.run(command, stdin=subprocess.PIPE, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        127,
        "error: cannot start 'no-such-program': No such file or directory\n",
    )


# The middle process dies of SIGTERM at once, as dvc does; the inner one takes a while to save.
INNER = """
import os, signal, sys, time
def save(number, frame):
    time.sleep(0.5)
    print("saved", flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, save)
print(os.getpid(), flush=True)
time.sleep(600)
"""
OUTER = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {INNER!r}])"


@pytest.mark.parametrize("how", ["signal", "closed pipe"])
def test_grandchild_is_given_time_to_save(how: str) -> None:
    with leash(OUTER) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        inner = psutil.Process(int(process.stdout.readline()))
        if how == "signal":
            process.terminate()
        else:
            process.stdin.close()
        assert process.stdout.read() == "saved\n"
        assert process.wait(20) == 128 + signal.SIGTERM
        assert not inner.is_running()


def test_what_ignores_sigterm_is_killed_after_the_grace() -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('ready', flush=True); time.sleep(600)"
    )
    with leash(stubborn, grace=0.5) as process:
        assert process.stdout is not None
        process.stdout.readline()
        start = time.monotonic()
        process.terminate()
        process.wait(20)
        assert 0.5 < time.monotonic() - start < 5


def test_what_a_finished_command_leaves_running_is_ended() -> None:
    program = (
        "import subprocess, sys;"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid)"
    )
    with leash(program) as process:
        assert process.stdout is not None
        left = int(process.stdout.readline())
        assert process.wait(20) == 0
        assert not psutil.pid_exists(left)
