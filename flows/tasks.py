"""The steps of every flow as Prefect tasks: a DVC stage, registration, decision, notice.

A task that fails returns a state with the command's own words, not an exception, whose traceback
would be ours. Only a failure that may be over in a minute is tried again.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec

from prefect import State, Task, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.states import Completed, Failed

from flows.answers import Ruling, Standing
from flows.commands import Ended, StageError, Workplace, run
from flows.stages import Outcome, dvc, reproduce, stale
from pipeline import failure
from pipeline.failure import Kind
from pipeline.params.flows_config import FlowsConfig
from pipeline.paths import REPORTS
from pipeline.stage import RECORD_VARIABLE

STATE_NAMES: dict[Outcome, str] = {
    "ran": "Completed",
    "restored": "Restored",
    "unchanged": "Unchanged",
}
"""What a stage's task is called in Prefect when it has ended well."""
PASSING = "PassingFailure"
"""Name of the state of a task whose failure may be over in a minute."""
INPUT = "InputFailure"
"""The same where a command has said that what it was given is at fault: a person must change it."""
NOT_MEASURED = "Not measured"
REFUSED = 3
"""Exit status of ``pipeline.promote``."""
P = ParamSpec("P")


def with_retries(step: Task[P, State[Any]], config: FlowsConfig) -> Task[P, State[Any]]:
    """``step`` as often and as patiently as ``flows.retries`` and ``retry_seconds`` say."""
    delays = [config.retry_seconds * 2**i for i in range(config.retries)]
    return step.with_options(
        retries=config.retries,
        retry_delay_seconds=delays or 0.0,
        retry_condition_fn=may_pass,
        retry_jitter_factor=0.3,
    )


def may_pass(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed task is worth another try."""
    return state.name == PASSING


def ended(state: State[Any]) -> Any:
    """What a task has returned in its state; ``StageError`` if it has not ended well."""
    if not state.is_completed():
        raise StageError(state.message or "it ended without a word")
    return state.data if not hasattr(state.data, "result") else state.result()


def _failed(error: StageError) -> State[Any]:
    return Failed(name=PASSING if error.passing else "Failed", message=str(error))


def _here(place: Workplace) -> Workplace:
    """``place`` whose output goes to the log of the current task."""
    return replace(place, emit=get_run_logger().info)


@task(name="ask", task_run_name="what is stale?", cache_policy=NO_CACHE)
def ask(place: Workplace) -> State[Any]:
    """The names of the stages and data that are not up to date."""
    try:
        found = stale(_here(place))
    except StageError as error:
        return _failed(error)
    return Completed(message=", ".join(found) or "nothing", data=found)


@task(name="stage", task_run_name="{stage}", cache_policy=NO_CACHE)
def run_dvc_stage(stage: str, place: Workplace) -> State[Any]:
    """Bring one DVC stage up to date; the state's name tells whether it had to run."""
    try:
        outcome = reproduce(_here(place), stage)
    except StageError as error:
        return _failed(error)
    name = STATE_NAMES[outcome]
    return Completed(name=name, message=f"{stage}: {outcome}", data=name)


@task(name="exchange", task_run_name="dvc {verb}", cache_policy=NO_CACHE)
def exchange(verb: str, place: Workplace) -> State[Any]:
    """Fetch data, and the records of what others have made (``pull``), or give ours (``push``)."""
    # what nobody has pushed is made here
    options = ["--run-cache", *(["--allow-missing"] if verb == "pull" else [])]
    try:
        run(_here(place), f"`dvc {verb}`", dvc(verb, *options))
    except StageError as error:
        kind: Kind = "input" if "no remote" in str(error) else "passing"
        return _failed(StageError(str(error), kind=kind, status=error.status))
    return Completed()


@task(name="register", task_run_name="register", cache_policy=NO_CACHE)
def register(place: Workplace) -> State[Any]:
    """Register the exported model in MLflow; one that is registered already stays as it is."""
    return _command(place, "register", [], lambda _status: Completed())


@task(name="standing", task_run_name="is anything undecided?", cache_policy=NO_CACHE)
def standing(place: Workplace) -> State[Any]:
    """Whether the workspace's model is registered and was decided on."""
    file = _scratch(place, "standing")

    def told(_status: int) -> State[Any]:
        found = Standing(**_taken(file))
        return Completed(message=found.sentence, data=found)

    return _command(place, "standing", ["--summary", str(file)], told)


@task(name="promote", task_run_name="promote", cache_policy=NO_CACHE)
def decide(place: Workplace, options: list[str]) -> State[Any]:
    """Have ``pipeline.promote`` decide; a refusal is an answer, not a failure."""
    file = _scratch(place, "promote")

    def told(_status: int) -> State[Any]:
        found = Ruling(**_taken(file))
        return Completed(name=found.verdict.capitalize(), message=found.sentence, data=found)

    return _command(place, "promote", [*options, "--summary", str(file)], told)


@task(name="drift", task_run_name="have the data moved?", cache_policy=NO_CACHE)
def drift(place: Workplace) -> State[Any]:
    """How far the training data are from those that the last training read, in a sentence.

    *Not measured* where those are not to be had.
    """

    def told(_status: int) -> State[Any]:
        found = json.loads((place.root / REPORTS / "drift.json").read_text(encoding="utf-8"))
        name = f"{'no' if found['verdict'] == 'none' else found['verdict']} drift".capitalize()
        return Completed(name=name, message=found["sentence"], data=found["sentence"])

    state = _command(place, "drift", ["--reference", "trained"], told)
    if state.name != INPUT:
        return state
    # as in a fresh clone, whose dvc.lock knows of a training whose tables nobody has pushed
    return Completed(name=NOT_MEASURED, message=state.message)


def command_task(
    place: Workplace, name: str, options: list[str], told: Callable[[tuple[str, ...]], str]
) -> State[Any]:
    """Run ``python -m pipeline.NAME``; ``told`` makes a sentence of what it printed."""

    def completed(done: Ended) -> State[Any]:
        sentence = told(done.lines)
        return Completed(message=sentence, data=sentence)

    return _run(place, name, options, completed)


def _command(
    place: Workplace, name: str, options: list[str], told: Callable[[int], State[Any]]
) -> State[Any]:
    """Run ``python -m pipeline.NAME`` and return what ``told`` makes of its exit status."""
    return _run(place, name, options, lambda done: told(done.status))


def _run(
    place: Workplace, name: str, options: list[str], told: Callable[[Ended], State[Any]]
) -> State[Any]:
    failure.clear(name, place.root)
    own = replace(_here(place), environment={**place.environment, RECORD_VARIABLE: name})
    command = [sys.executable, "-m", f"pipeline.{name}", *options]
    try:
        return told(run(own, f"`pipeline.{name}`", command, accept=(0, REFUSED)))
    except StageError as error:
        known = failure.read(name, place.root)
        kind = known.kind if known and error.kind != "stopped" else error.kind
        if kind == "input":
            return Failed(name=INPUT, message=str(error))
        return _failed(StageError(str(error), kind=kind, status=error.status))


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
