"""SIGTERM as an exception, and as something that waits until the books are closed."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from pipeline.stage import Terminated

Handler = Callable[[int, FrameType | None], None]


@contextmanager
def terminable() -> Iterator[None]:
    """Inside, SIGTERM raises ``Terminated``, so that ``finally`` runs; afterwards as before.

    Only the main thread can receive signals; elsewhere this does nothing.
    """
    owner = os.getpid()

    def handle(signum: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a forked worker that has inherited the handler
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
        raise Terminated

    with _sigterm(handle):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """A SIGTERM that comes inside takes effect at the end; a second one too."""
    received: list[int] = []
    with _sigterm(lambda signum, frame: received.append(signum)):
        yield
    if received:
        os.kill(os.getpid(), received[0])


@contextmanager
def _sigterm(handler: Handler) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
