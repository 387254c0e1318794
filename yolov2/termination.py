"""Signals that ask the process to end, as exceptions, and put off where nothing may be torn.

The main thread receives them; elsewhere these functions do nothing.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], None]
ENDING = (signal.SIGTERM, signal.SIGINT)


class Terminated(BaseException):
    """The process was asked to end (SIGTERM): unwinds the stack so that ``finally`` runs."""


@contextmanager
def terminable() -> Iterator[None]:
    """Inside, SIGTERM raises ``Terminated``, so that ``finally`` runs; afterwards as before.

    A process that ignores SIGTERM goes on ignoring it.
    """
    if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        yield
        return
    owner = os.getpid()

    def handle(signum: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a forked worker that has inherited the handler
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
        raise Terminated

    with _handling((signal.SIGTERM,), handle):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """A SIGTERM or Ctrl-C that comes inside takes effect at the end."""
    received: list[int] = []
    try:
        with _handling(ENDING, lambda signum, frame: received.append(signum)):
            yield
    finally:
        for signum in dict.fromkeys(received):
            os.kill(os.getpid(), signum)


@contextmanager
def _handling(signals: tuple[signal.Signals, ...], handler: Handler) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = [(each, signal.signal(each, handler)) for each in signals]
    try:
        yield
    finally:
        for each, old in previous:
            signal.signal(each, old)
