"""Signals that ask a process to end."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from yolov2.termination import Terminated, terminable, undisturbed

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    after = signal.signal(signal.SIGTERM, before)
    assert after is before


def ask_to_end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_sigterm_unwinds_the_stack() -> None:
    done = []

    @terminable()
    def work() -> None:
        try:
            ask_to_end()
            done.append("more")
        finally:
            done.append("finally")

    with pytest.raises(Terminated):
        work()
    assert done == ["finally"]


def test_an_ignored_sigterm_stays_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with terminable():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
            ask_to_end()
            with undisturbed():
                ask_to_end()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_program_started_with_sigterm_ignored_ends_by_itself() -> None:
    """As a shell's ``trap '' TERM`` or a scheduler's wrapper starts it."""
    code = (
        "import os, signal\n"
        "from yolov2.termination import terminable\n"
        "with terminable():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('whole')\n"
    )
    command = ["sh", "-c", "trap '' TERM; exec \"$@\"", "sh", sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "whole\n", "")


def test_a_forked_child_dies_of_it_without_unwinding() -> None:
    """It has inherited the handler, and what its parent would tidy up is not its own."""
    code = (
        "import os, signal\n"
        "from yolov2.termination import terminable\n"
        "with terminable():\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        try:\n"
        "            os.kill(os.getpid(), signal.SIGTERM)\n"
        "        finally:\n"
        "            print('unwound', flush=True)\n"
        "    print(os.WTERMSIG(os.waitpid(child, 0)[1]))\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{signal.SIGTERM:d}\n", "")


def test_it_is_put_off_to_the_end_of_what_may_not_be_torn() -> None:
    done = []

    @terminable()
    def work() -> None:
        with undisturbed():
            ask_to_end()
            ask_to_end()
            done.append("written")
        done.append("more")

    with pytest.raises(Terminated):
        work()
    assert done == ["written"]


def test_in_another_thread_nothing_is_changed() -> None:
    seen = []

    def work() -> None:
        with terminable(), undisturbed():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]
