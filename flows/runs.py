"""Flow runs that a crash left behind as *Running*."""

from prefect import State
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.states import Crashed

UNFINISHED = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


def close_dead_runs(flow: str) -> int:
    """Mark every unfinished run of ``flow`` as *Crashed* and return how many there were.

    For a server of this folder only, and while its pipeline lock is held: then none of them can be
    alive. A run that was cut off by a power failure would else show as running for ever, and hold
    the slot of its deployment, so that no scheduled run would ever start again.
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
    return len(runs)
