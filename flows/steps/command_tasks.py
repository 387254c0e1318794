"""The pipeline's commands as Prefect tasks: registration, standing, decision, drift, new data."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import State, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed

from flows.steps.answers import Ruling, Waiting
from flows.steps.commands import Ended, StageError, Workplace, run
from flows.steps.tasks import INPUT, failed, here
from pipeline.paths import REPORTS
from pipeline.running import failure
from pipeline.running.entry import RECORD_VARIABLE

NOT_MEASURED = "Not measured"
REFUSED = 3
"""Exit status of ``pipeline promote``."""


@task(name="register", task_run_name="register", cache_policy=NO_CACHE)
def register(place: Workplace) -> State[Any]:
    """Register the exported model in MLflow; one that is registered already stays as it is.

    The state's data are the runs that made it, by stage.
    """
    file = _scratch(place, "register")

    def read(_status: int) -> State[Any]:
        found = _taken(file)
        return Completed(message=found["sentence"], data=found["runs"])

    return _command(place, "register", ["--summary", str(file)], read)


@task(name="standing", task_run_name="is anything undecided?", cache_policy=NO_CACHE)
def standing(place: Workplace) -> State[Any]:
    """Whether the workspace's model is registered and was decided on."""
    file = _scratch(place, "standing")

    def read(_status: int) -> State[Any]:
        told = _taken(file)
        found = Waiting(pending=told["pending"], sentence=told["sentence"])
        return Completed(message=found.sentence, data=found)

    return _command(place, "standing", ["--summary", str(file)], read)


@task(name="promote", task_run_name="promote", cache_policy=NO_CACHE)
def decide(place: Workplace, options: list[str]) -> State[Any]:
    """Have ``pipeline promote`` decide; a refusal is an answer, not a failure."""
    file = _scratch(place, "promote")

    def read(_status: int) -> State[Any]:
        found = Ruling(**_taken(file))
        return Completed(name=found.verdict.capitalize(), message=found.sentence, data=found)

    return _command(place, "promote", [*options, "--summary", str(file)], read)


@task(name="drift", task_run_name="have the data moved?", cache_policy=NO_CACHE)
def drift(place: Workplace) -> State[Any]:
    """How far the training data are from those that the last training read, in a sentence.

    *Not measured* where those are not to be had.
    """

    def read(_status: int) -> State[Any]:
        found = json.loads((place.root / REPORTS / "drift.json").read_text(encoding="utf-8"))
        name = f"{'no' if found['verdict'] == 'none' else found['verdict']} drift".capitalize()
        return Completed(name=name, message=found["sentence"], data=found["sentence"])

    state = _command(place, "drift", ["--reference", "trained"], read)
    if state.name != INPUT:
        return state
    # as in a fresh clone, whose dvc.lock knows of a training whose tables nobody has pushed
    return Completed(name=NOT_MEASURED, message=state.message)


def command_task(
    place: Workplace, name: str, options: list[str], told: Callable[[tuple[str, ...]], str]
) -> State[Any]:
    """Run ``pipeline NAME``; ``told`` makes a sentence of what it printed."""

    def completed(done: Ended) -> State[Any]:
        sentence = told(done.lines)
        return Completed(message=sentence, data=sentence)

    return _run(place, name, options, completed)


def _command(
    place: Workplace, name: str, options: list[str], told: Callable[[int], State[Any]]
) -> State[Any]:
    """Run ``pipeline NAME`` and return what ``told`` makes of its exit status."""
    return _run(place, name, options, lambda done: told(done.status))


def _run(
    place: Workplace, name: str, options: list[str], told: Callable[[Ended], State[Any]]
) -> State[Any]:
    failure.clear(name, place.root)
    own = replace(here(place), environment={**place.environment, RECORD_VARIABLE: name})
    command = [sys.executable, "-m", "pipeline", name, *options]
    try:
        return told(run(own, f"`pipeline {name}`", command, accept=(0, REFUSED)))
    except StageError as error:
        known = failure.read(name, place.root)
        kind = known.kind if known and error.kind != "stopped" else error.kind
        if kind == "input":
            return Failed(name=INPUT, message=str(error))
        return failed(StageError(str(error), kind=kind, status=error.status))


def _scratch(place: Workplace, name: str) -> Path:
    """A file for the summary of a command, out of everybody's way."""
    folder = place.root.absolute() / ".dvc" / "tmp" / "flows"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}-{place.lock}.json"
    file.unlink(missing_ok=True)
    return file


def _taken(file: Path) -> dict[str, Any]:
    told = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    return dict(told)
