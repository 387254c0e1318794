"""The turns of a trial with its store: asked for, kept alive, reported on, told.

Optuna's own loop, ``study.optimize``, does not outlive an absence of the store: when a trial ends
meanwhile, it fails with an ``UnboundLocalError`` of its own (Optuna 5.0), and one missed beat ends
its heartbeat, so that others take the trial for dead.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from threading import Event, Thread
from typing import TYPE_CHECKING, cast

from pipeline.sweep.contact import Contact, StoreAwayError
from pipeline.sweep.store import HEARTBEAT
from pipeline.sweep.study import WARM_UP

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.storages import RDBStorage
    from optuna.trial import TrialState

BEAT_AGAIN = 3.0
"""Seconds before a missed sign of life is tried again."""


class Reports:
    """The epochs of a trial on their way to the store; they wait here while it is away."""

    def __init__(self, trial: "Trial", contact: Contact) -> None:
        self.trial, self.contact = trial, contact
        self.seen: set[int] = set()
        self.waiting: list[tuple[int, float]] = []

    def judge(self, epoch: int, ap: float) -> bool:
        """Report an epoch; whether the trial is to go on, as it is when nobody can be asked.

        Raises:
            UpdateFinishedTrialError: the trial is no longer ours.
        """
        if epoch in self.seen:  # a training that is tried again tells it again
            return True
        self.seen.add(epoch)
        self.waiting.append((epoch, ap))
        try:
            self.contact.once(self.send)
            return len(self.seen) <= WARM_UP or not self.contact.once(self.trial.should_prune)
        except StoreAwayError:
            return True

    def send(self) -> None:
        """Report what waits, in its order."""
        while self.waiting:
            epoch, ap = self.waiting[0]
            self.trial.report(ap, epoch)
            del self.waiting[0]


def ask(study: "Study", contact: Contact) -> "Trial":
    """The next trial; those whose worker is dead are to be repeated first.

    Not shortly after an absence of the store, which has made all workers look dead.

    Raises:
        StoreAwayError: the store has not answered for as long as our patience lasts.
    """
    from optuna.storages import fail_stale_trials

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the heartbeat is experimental, and not in optimize()
        if contact.settled:
            contact.patiently(lambda: fail_stale_trials(study))
        return contact.patiently(study.ask)


def tell(contact: Contact, trial: "Trial", value: float | None, state: "TrialState") -> bool:
    """Finish ``trial``; whether anything is left to be tried.

    Raises:
        StoreAwayError: the store has not answered for as long as our patience lasts.
    """
    try:  # an answer that arrived although we were not told so is not given twice
        contact.patiently(lambda: trial.study.tell(trial, value, state, skip_if_finished=True))
    except RuntimeError as error:
        if "Study.stop" not in str(error):  # how BruteForceSampler says it, the answer being stored
            raise
        return False
    return True


@contextmanager
def alive(trial: "Trial", contact: Contact) -> Iterator[None]:
    """Have others see that ``trial`` is worked on while the block runs."""
    storage = cast("RDBStorage", trial.storage)  # or Optuna's cache of one, which passes it on
    over = Event()

    def beat() -> None:
        pause = 0.0
        while not over.wait(pause):
            try:
                contact.once(lambda: storage.record_heartbeat(trial._trial_id))
                pause = HEARTBEAT
            except StoreAwayError:
                pause = BEAT_AGAIN

    # in our context: Prefect knows from it which server gets what the contact tells
    thread = Thread(target=copy_context().run, args=(beat,), name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
