"""Flow runs that ended without a word: closed, and taken up again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect import Flow, State
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.logging.loggers import flow_run_logger
from prefect.states import Cancelled, Crashed, Scheduled

from pipeline.params.flows import FlowsConfig
from pipeline.params.schema import load

UNFINISHED = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
TAKEN_UP = "taken-up-"
"""Start of the tag of a run that takes up a crashed one; after it, for which time in a row."""


@dataclass(frozen=True, kw_only=True)
class Closed:
    """A run of ``flow`` that was closed, how, and the name of the one that takes it up, if any."""

    flow: str
    run: FlowRun
    state: State[None]
    successor: str | None = None


def close_dead_runs(
    flow: str, config: FlowsConfig | None = None, deployments: Sequence[UUID] | None = None
) -> list[Closed]:
    """Mark every unfinished run of ``flow`` as *Crashed*, or *Cancelled* if that was asked for.

    Only while it is sure that none of them is alive: for a server of this folder, or
    ``deployments`` that work in it, while its pipeline lock is held, and that of the flow's name
    where it works in copies (``flows/steps/workspace.py``). A run that was cut off by a power
    failure would else show as running for ever, and hold the slot of its deployment, so that no
    scheduled run would ever start again. With ``config`` the crashed ones of deployments are
    taken up again.
    """
    condition = FlowRunFilterStateType(any_=UNFINISHED)
    wanted = FlowRunFilter(state=FlowRunFilterState(type=condition))
    if deployments is not None:
        wanted.deployment_id = FlowRunFilterDeploymentId(any_=list(deployments))
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])), flow_run_filter=wanted
        )
        closed = [Closed(flow=flow, run=run, state=_end_of(run)) for run in runs]
        for one in closed:
            client.set_flow_run_state(one.run.id, one.state, force=True)
    if config is None:
        return closed
    return [
        replace(one, successor=start_again(one.run, config)) if one.state.is_crashed() else one
        for one in closed
    ]


def _end_of(run: FlowRun) -> State[None]:
    if run.state_type == StateType.CANCELLING:
        return Cancelled(message="Its process had ended before it could say so.")
    return Crashed(message="Cut off: its process ended without a word.")


def take_up(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Hook: a deployment's run whose process died is started again, ``flows.take_ups`` times."""
    try:
        config = load().flows
    except ValueError:  # the run that is started then says what is wrong with params.yaml
        config = FlowsConfig()
    start_again(flow_run, config)


def start_again(run: FlowRun, config: FlowsConfig) -> str | None:
    """Schedule a run in place of ``run``, with its parameters; its name, None where there is none.

    What ``run`` had finished is kept.

    A run without a deployment has nobody to start it. A crash for the third time in a row has its
    cause in the run, not in the machine, and a person has to look.
    """
    log = flow_run_logger(run)
    times = max([int(t.removeprefix(TAKEN_UP)) for t in run.tags if t.startswith(TAKEN_UP)] or [0])
    if run.deployment_id is None or config.take_ups == 0:
        return None
    if times >= config.take_ups:
        log.error("run %s crashed %d times in a row: it is not started again", run.name, times + 1)
        return None
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
    return new.name
