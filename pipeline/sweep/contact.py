"""How a sweep speaks with its store, which may be away for a while."""

import time
from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from pipeline.sweep.store import HEARTBEAT, address
from pipeline.tracking.address import UnreachableError, plainly, without_password

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds before a call is tried again; doubled each time."""
PATIENCE = 600.0
"""Seconds of pauses after which a call that nothing can go on without is given up."""


class StoreAwayError(UnreachableError):
    """The sweeps' store does not answer."""


class Contact:
    """What all calls to the store go through, from any thread: knows whether it is away.

    Args:
        tell: is told once that the store is away, and once that it answers again.
        patience: seconds of pauses that :meth:`patiently` spends.
        wait: waits so many seconds; for tests.
    """

    def __init__(
        self,
        tell: Callable[[str], None],
        *,
        patience: float = PATIENCE,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self.tell, self.patience, self.wait = tell, patience, wait
        self._lock = Lock()
        self._away_since: float | None = None
        self._back_at = -float("inf")

    def once(self, call: Callable[[], T]) -> T:
        """What ``call`` returns.

        Raises:
            StoreAwayError: the store does not answer.
        """
        from optuna.exceptions import StorageInternalError
        from sqlalchemy.exc import SQLAlchemyError

        try:
            found = call()
        except (StorageInternalError, SQLAlchemyError) as error:
            away = (
                f"the sweeps' store {without_password(address())} does not answer: {_said(error)}"
            )
            self._missed(away)
            raise StoreAwayError(
                f"{away}; start it, then give the same command again, which goes on from here"
            ) from error
        self._answered()
        return found

    def patiently(self, call: Callable[[], T]) -> T:
        """What ``call``, which may be repeated, returns in the end.

        Raises:
            StoreAwayError: the store has not answered for as long as our patience lasts.
        """
        pause, waited = FIRST_PAUSE, 0.0
        while True:
            try:
                return self.once(call)
            except StoreAwayError:
                if waited >= self.patience:
                    raise
            self.wait(pause)
            waited, pause = waited + pause, min(2 * pause, LONGEST_PAUSE)

    @property
    def settled(self) -> bool:
        """Whether others, too, have had the time for a sign of life since the store was away."""
        with self._lock:
            return self._away_since is None and time.monotonic() - self._back_at > HEARTBEAT

    def _missed(self, said: str) -> None:
        with self._lock:
            first = self._away_since is None
            if first:
                self._away_since = time.monotonic()
        if first:
            self.tell(f"{said}; trainings go on, what they give is reported later")

    def _answered(self) -> None:
        with self._lock:
            since, self._away_since = self._away_since, None
            if since is not None:
                self._back_at = time.monotonic()
        if since is not None:
            self.tell(f"the sweeps' store answers again, after {self._back_at - since:.0f} s")


def _said(error: BaseException) -> str:
    """The driver's own words, which SQLAlchemy and Optuna have put into theirs."""
    from sqlalchemy.exc import DBAPIError

    cause = error.__cause__ or error
    words = cause.orig if isinstance(cause, DBAPIError) and cause.orig else cause
    return plainly(str(words)).rstrip(".") or type(words).__name__
