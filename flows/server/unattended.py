"""A scheduled time that passed while nothing was there to run it, made up for."""

import logging
from datetime import UTC, datetime
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.server.schemas.schedules import CronSchedule

from pipeline.params.flows import ScheduleConfig

log = logging.getLogger("prefect.unattended")


async def missed(schedule: ScheduleConfig, last: datetime, now: datetime) -> datetime | None:
    """The first time of ``schedule`` after ``last`` (a run's start), if it is not after ``now``."""
    cron = CronSchedule(cron=schedule.cron, timezone=schedule.timezone)
    due = [time for time in await cron.get_dates(2, start=last) if time > last]
    return due[0] if due and due[0] <= now else None


async def catch_up(deployment: UUID, schedule: ScheduleConfig) -> FlowRun | None:
    """Start a run at once if a time of ``schedule`` passed since the last one; that run.

    A deployment that has never run has missed nothing, and what is late but still scheduled (a
    server that was killed leaves it) runs by itself.
    """
    now = datetime.now(UTC)
    started = FlowRunFilter(start_time=FlowRunFilterStartTime(is_null_=False))
    waiting = FlowRunFilterStateType(any_=[StateType.SCHEDULED, StateType.PENDING])
    mine = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
    async with get_client() as client:
        runs = await client.read_flow_runs(
            deployment_filter=mine,
            flow_run_filter=started,
            sort=FlowRunSort.START_TIME_DESC,
            limit=1,
        )
        if not runs or runs[0].start_time is None:
            return None
        due = await missed(schedule, runs[0].start_time, now)
        late = await client.read_flow_runs(
            deployment_filter=mine,
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=waiting)),
        )
        late = [r for r in late if r.expected_start_time and r.expected_start_time <= now]
        if due is None or late:
            return None
        log.warning("the run of %s was missed and starts now", due.isoformat())
        # once for each time, however often this is started
        key = f"missed-{due.isoformat()}"
        return await client.create_flow_run_from_deployment(
            deployment, tags=["missed"], idempotency_key=key
        )
