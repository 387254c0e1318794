"""The steps of every flow as Prefect tasks: a DVC stage, what is stale, DVC's remote.

A task that fails returns a state with the command's own words, not an exception, whose traceback
would be ours. Only a failure that may be over in a minute is tried again.
"""

from dataclasses import replace
from typing import Any, ParamSpec

from prefect import State, Task, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import TaskRun
from prefect.states import Completed, Failed

from flows.steps.commands import StageError, Workplace, run
from flows.steps.stages import Outcome, dvc, reproduce, stale
from pipeline.params.flows import FlowsConfig
from pipeline.running.failure import Kind

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


def failed(error: StageError) -> State[Any]:
    """The state of a task whose command failed so; *PassingFailure* where another try may help."""
    return Failed(name=PASSING if error.passing else "Failed", message=str(error))


def here(place: Workplace) -> Workplace:
    """``place`` whose output goes to the log of the current task."""
    return replace(place, emit=get_run_logger().info)


@task(name="ask", task_run_name="what is stale?", cache_policy=NO_CACHE)
def ask(place: Workplace) -> State[Any]:
    """The names of the stages and data that are not up to date."""
    try:
        found = stale(here(place))
    except StageError as error:
        return failed(error)
    return Completed(message=", ".join(found) or "nothing", data=found)


@task(name="stage", task_run_name="{stage}", cache_policy=NO_CACHE)
def run_dvc_stage(stage: str, place: Workplace) -> State[Any]:
    """Bring one DVC stage up to date; the state's name tells whether it had to run."""
    try:
        outcome = reproduce(here(place), stage)
    except StageError as error:
        return failed(error)
    name = STATE_NAMES[outcome]
    return Completed(name=name, message=f"{stage}: {outcome}", data=name)


@task(name="exchange", task_run_name="dvc {verb}", cache_policy=NO_CACHE)
def exchange(verb: str, place: Workplace) -> State[Any]:
    """Fetch data, and the records of what others have made (``pull``), or give ours (``push``)."""
    # what nobody has pushed is made here
    options = ["--run-cache", *(["--allow-missing"] if verb == "pull" else [])]
    try:
        run(here(place), f"`dvc {verb}`", dvc(verb, *options))
    except StageError as error:
        kind: Kind = "input" if "no remote" in str(error) else "passing"
        return failed(StageError(str(error), kind=kind, status=error.status))
    return Completed()
