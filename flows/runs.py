"""Flow runs that ended without a word: closed, and taken up again."""

from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import Flow, State
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.logging.loggers import flow_run_logger
from prefect.states import Crashed, Scheduled

from pipeline.params.flows_config import FlowsConfig
from pipeline.params.schema import load

UNFINISHED = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
TAKEN_UP = "taken-up-"
"""Start of the tag of a run that takes up a crashed one; after it, for which time in a row."""


def close_dead_runs(flow: str, config: FlowsConfig | None = None) -> int:
    """Mark every unfinished run of ``flow`` as *Crashed* and return how many there were.

    For a server of this folder only, and while its pipeline lock is held: then none of them can be
    alive. A run that was cut off by a power failure would else show as running for ever, and hold
    the slot of its deployment, so that no scheduled run would ever start again. With ``config``
    the runs of deployments are taken up again.
    """
    condition = FlowRunFilterStateType(any_=UNFINISHED)
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=condition)),
        )
        for run in runs:
            state: State[None] = Crashed(message="Cut off: its process ended without a word.")
            client.set_flow_run_state(run.id, state, force=True)
    for run in runs if config else ():
        start_again(run, config or FlowsConfig())
    return len(runs)


def take_up(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Hook: a deployment's run whose process died is started again, ``flows.take_ups`` times."""
    try:
        config = load().flows
    except ValueError:  # the run that is started then says what is wrong with params.yaml
        config = FlowsConfig()
    start_again(flow_run, config)


def start_again(run: FlowRun, config: FlowsConfig) -> None:
    """Schedule a run in place of ``run``, with its parameters; what it had finished is kept.

    A run without a deployment has nobody to start it. A crash for the third time in a row has its
    cause in the run, not in the machine, and a person has to look.
    """
    log = flow_run_logger(run)
    times = max([int(t.removeprefix(TAKEN_UP)) for t in run.tags if t.startswith(TAKEN_UP)] or [0])
    if run.deployment_id is None or config.take_ups == 0:
        return
    if times >= config.take_ups:
        log.error("run %s crashed %d times in a row: it is not started again", run.name, times + 1)
        return
    at = datetime.now(UTC) + timedelta(seconds=config.retry_seconds)
    with get_client(sync_client=True) as client:
        new = client.create_flow_run_from_deployment(
            run.deployment_id,
            parameters=run.parameters,
            tags=[f"{TAKEN_UP}{times + 1}"],
            # one successor, whoever notices the crash
            idempotency_key=f"{TAKEN_UP}{run.id}",
            state=Scheduled(scheduled_time=at),
        )
    log.warning("run %s crashed: %s takes it up in %g s", run.name, new.name, config.retry_seconds)
