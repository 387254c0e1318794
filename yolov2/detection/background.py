"""Work in threads beside the network: decoding ahead of it, drawing and writing behind it.

Pillow and OpenCV release Python's lock while they decode, resize and encode. Both ways are
bounded, so that a slow neighbour is waited for instead of memory being filled.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

MOST_WORKERS = 8


def default_workers() -> int:
    """Threads for images that are independent of each other."""
    return min(MOST_WORKERS, os.cpu_count() or 1)


def ordered_map(
    function: Callable[[T], R], items: Iterable[T], *, workers: int, ahead: int
) -> Generator[R, None, None]:
    """``function`` of each item, in order, computed in threads up to ``ahead`` items ahead.

    ``items`` are taken one by one, as they are needed. An exception of ``function`` is raised
    where its result would have come.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="ahead")
    pending: deque[Future[R]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


class Background:
    """Calls made in threads, at most ``waiting`` unfinished; a call more waits for the oldest.

    What a call raises, a later one or ``close`` raises.
    """

    def __init__(self, *, workers: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="behind")
        self._pending: deque[Future[Any]] = deque()
        self._waiting = waiting

    def __call__(self, function: Callable[..., Any], *args: Any) -> None:
        """Have ``function(*args)`` called, with one worker in the order of these calls."""
        if len(self._pending) >= self._waiting:
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(function, *args))

    def close(self) -> None:
        """Wait until everything is done."""
        try:
            while self._pending:
                self._pending.popleft().result()
        finally:
            self._pool.shutdown()
