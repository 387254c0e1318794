"""The trials of one process of a sweep, one after the other, until there are enough answers."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from flows.steps.commands import StageError
from flows.steps.tasks import ended, with_retries
from flows.trials.trial import Answer, run_trial
from pipeline.params.flows import FlowsConfig
from pipeline.sweep import study as sweeps
from pipeline.sweep import turns
from pipeline.sweep.contact import Contact, StoreAwayError
from pipeline.sweep.space import Space
from pipeline.sweep.store import GRACE
from pipeline.workspace.git import WorkTree

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import TrialState

FAILURES = 3
"""Trials that may fail one after the other before the sweep gives up."""


@dataclass(kw_only=True)
class Trials:
    """The trials of this process; ``wanted`` answers in all, from whatever process."""

    study: "Study"
    space: Space
    tree: WorkTree
    config: FlowsConfig
    wanted: int
    contact: Contact
    failed: int = 0
    said: str = ""

    def run(self) -> None:
        """Try until there are enough answers.

        Raises:
            StageError: the last few trials have all failed; the message is the last one's.
            StoreAwayError: the store has been away for too long.
        """
        more = True
        while more and self.failed < FAILURES and self._answers() < self.wanted:
            more = self._next()
        if self.failed >= FAILURES or (self.failed and not self._answers()):
            raise StageError(
                f"{self.failed} trials failed one after the other, the last: {self.said}"
            )

    def _answers(self) -> int:
        return self.contact.patiently(lambda: sweeps.counted(self.study))

    def _next(self) -> bool:
        """One trial from its draws to its answer; whether anything is left to be tried."""
        trial = turns.ask(self.study, self.contact)
        with turns.alive(trial, self.contact):  # until it is told: that, too, may take its time
            return turns.tell(self.contact, trial, *self._outcome(trial))

    def _outcome(self, trial: "Trial") -> tuple[float | None, "TrialState"]:
        """What to tell of ``trial``: its AP, where it was trained to its end, and its state."""
        from optuna.trial import TrialState

        try:
            with _ours(trial):
                answer = self._try(trial)
        except StageError as error:
            self.said, self.failed = str(error), self.failed + 1
            return None, TrialState.FAIL
        except StoreAwayError:
            raise  # there is nobody to tell; a trial that is no longer worked on is repeated
        except (Exception, KeyboardInterrupt) as error:
            self._leave(trial, again=isinstance(error, KeyboardInterrupt))
            raise
        self.failed = 0
        return (None, TrialState.PRUNED) if answer.stopped else (answer.ap, TrialState.COMPLETE)

    def _try(self, trial: "Trial") -> Answer:
        """Train with what is drawn for ``trial``.

        Raises:
            StageError: it failed.
            StoreAwayError: the store does not answer, neither before nor after the training.
        """
        drawn = self.contact.patiently(lambda: self.space.draw(trial))
        self.contact.patiently(lambda: trial.set_user_attr("settings", drawn))
        experiment = self.contact.patiently(lambda: self.study.user_attrs[sweeps.EXPERIMENT])
        settings = drawn | {"tracking.experiment": experiment}
        label = ", ".join(f"{key.rpartition('.')[2]}={drawn[key]}" for key in self.space.drawn)
        reports = turns.Reports(trial, self.contact)

        def judge(epoch: int, ap: float) -> bool:
            with _ours(trial):
                return reports.judge(epoch, ap)

        step = with_retries(run_trial, self.config)
        answer: Answer = ended(
            step(trial.number, label, settings, self.tree, self.config, judge, return_state=True)
        )
        self.contact.patiently(reports.send)
        for name, known in ((sweeps.RUN_ID, answer.run_id), (sweeps.KEY, answer.key)):
            self.contact.patiently(partial(trial.set_user_attr, name, known))
        return answer

    def _leave(self, trial: "Trial", *, again: bool) -> None:
        """Finish a trial that was broken off; ``again``: the next of this sweep begins with it."""
        from optuna.trial import TrialState

        def leave() -> None:
            if again:
                self.study.enqueue_trial(trial.params)
            self.study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)

        with suppress(StoreAwayError):
            self.contact.once(leave)


@contextmanager
def _ours(trial: "Trial") -> Iterator[None]:
    """Break off when others have taken the trial for dead.

    Raises:
        StageError: so it is.
    """
    from optuna.exceptions import UpdateFinishedTrialError

    try:
        yield
    except UpdateFinishedTrialError:
        raise StageError(
            f"trial {trial.number} is being repeated: for {GRACE} seconds or longer it has"
            " given the sweeps' store no sign of life"
        ) from None
