"""The sweeps' store goes away, at whatever moment; the calls are stand-ins or Optuna's own."""

import time
import warnings
from collections.abc import Callable
from threading import Event
from types import SimpleNamespace

import optuna
import pytest
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from pipeline.sweep import turns
from pipeline.sweep.contact import Contact
from pipeline.sweep.turns import Reports, alive, ask, tell


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_SWEEPS", "postgresql+pg8000://me:secret@db/sweeps")


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(
        direction="maximize", pruner=optuna.pruners.MedianPruner(n_startup_trials=1)
    )


def away() -> None:
    cause = OperationalError("SELECT 1", None, Exception("connection refused."))
    raise StorageInternalError("An exception is raised during the commit.") from cause


def missing(times: int, then: Callable[[], object]) -> Callable[[], object]:
    """``then``, after it was not to be reached so often."""
    left = [away] * times
    return lambda: left.pop()() if left else then()  # type: ignore[func-returns-value]


def test_absence_is_told_once_and_so_is_its_end() -> None:
    told: list[str] = []
    pauses: list[float] = []
    contact = Contact(told.append, wait=pauses.append)
    assert contact.settled
    assert contact.patiently(missing(7, lambda: "here")) == "here"
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    assert told == [
        "the sweeps' store postgresql+pg8000://me:***@db/sweeps does not answer: connection"
        " refused; trainings go on, what they give is reported later",
        "the sweeps' store answers again, after 0 s",
    ]
    assert not contact.settled  # others may not yet have had the time to say that they are alive


def test_patience_ends_with_a_sentence() -> None:
    pauses: list[float] = []
    contact = Contact(lambda _: None, patience=100, wait=pauses.append)
    with pytest.raises(ValueError, match="does not answer") as caught:
        contact.patiently(away)
    assert str(caught.value) == (
        "the sweeps' store postgresql+pg8000://me:***@db/sweeps does not answer: connection"
        " refused; start it, then give the same command again, which goes on from here"
    )
    assert sum(pauses) == 121


def test_epochs_wait_and_arrive_in_their_order(study: optuna.Study) -> None:
    better = study.ask()
    for epoch in range(1, 9):
        better.report(0.9, epoch)
    study.tell(better, 0.9)
    trial = study.ask()
    sent: list[int] = []
    reachable = True
    report = trial.report

    def reported(value: float, step: int) -> None:
        if not reachable:
            away()
        sent.append(step)
        report(value, step)

    trial.report = reported  # type: ignore[method-assign]
    reports = Reports(trial, Contact(lambda _: None))
    assert reports.judge(1, 0.1)
    assert reports.judge(2, 0.1)
    reachable = False
    assert all(reports.judge(epoch, 0.1) for epoch in (3, 4, 5))  # worse, but who could tell
    assert sent == [1, 2]
    reachable = True
    assert not reports.judge(6, 0.1)
    assert sent == [1, 2, 3, 4, 5, 6]
    assert reports.judge(6, 0.1)  # a training that was tried again
    assert sent == [1, 2, 3, 4, 5, 6]


def test_answer_that_arrived_unheard_is_not_given_twice(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, real = study.ask(), study.tell
    unheard = [True]

    def lost(*given: object, **named: object) -> None:
        real(*given, **named)  # type: ignore[arg-type]
        if unheard and unheard.pop():
            away()

    monkeypatch.setattr(study, "tell", lost)
    assert tell(Contact(lambda _: None, wait=lambda _: None), trial, 0.5, TrialState.COMPLETE)
    assert study.trials[0].value == 0.5


def test_last_combination_says_that_nothing_is_left() -> None:
    with warnings.catch_warnings(action="ignore"):  # Optuna calls it experimental
        study = optuna.create_study(sampler=optuna.samplers.BruteForceSampler())
    contact = Contact(lambda _: None)
    left = []
    for _ in range(2):
        trial = ask(study, contact)
        trial.suggest_categorical("x", ["a", "b"])
        left.append(tell(contact, trial, 1.0, TrialState.COMPLETE))
    assert left == [True, False]
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2


def test_trial_that_others_have_taken_for_dead_is_not_reported(study: optuna.Study) -> None:
    trial = study.ask()
    study.tell(trial, state=TrialState.FAIL)
    with pytest.raises(UpdateFinishedTrialError):
        Reports(trial, Contact(lambda _: None)).judge(1, 0.5)


def test_nobody_is_taken_for_dead_shortly_after_an_absence(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(optuna.storages, "fail_stale_trials", lambda _: asked.append("dead?"))
    contact = Contact(lambda _: None, wait=lambda _: None)
    ask(study, contact)
    assert asked == ["dead?"]
    contact.patiently(missing(1, lambda: None))
    ask(study, contact)
    assert asked == ["dead?"]


def test_heart_beats_on_after_a_missed_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "BEAT_AGAIN", 0.01)
    heard = Event()
    beat = missing(2, heard.set)
    storage = SimpleNamespace(record_heartbeat=lambda _trial: beat())
    told: list[str] = []
    with alive(SimpleNamespace(storage=storage, _trial_id=7), Contact(told.append)):  # type: ignore[arg-type]
        assert heard.wait(10)
        time.sleep(0.05)
    assert len(told) == 2


def test_other_errors_are_not_waited_for() -> None:
    def wrong() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        Contact(lambda _: None).patiently(wrong)
