"""Data that have arrived in ``flows.incoming`` start a retraining.

    python -m flows.sensor

looks beside a worker (``deploy/worker.sh`` starts it), as ``make schedule`` does itself.
"""

import argparse
import asyncio
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from httpx import HTTPError
from prefect import State
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterIdempotencyKey,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.exceptions import PrefectException

from flows.server.runs import TAKEN_UP
from flows.server.start import SCHEDULER_VARIABLE
from flows.steps.incoming import READY, arrived
from flows.steps.workspace import in_use
from pipeline.params.schema import load
from pipeline.running.entry import run_stage
from pipeline.running.leash import end_with
from yolov2.command_line import Parser

AT_WORK = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
Mark = tuple[str, float]
"""Name of a folder that has arrived, and when its mark was made."""
log = logging.getLogger("prefect.sensor")


@dataclass(frozen=True)
class Tried:
    """The marks that runs were started for; ``fresh`` are those of the last one, ``run``."""

    marks: frozenset[Mark] = frozenset()
    fresh: frozenset[Mark] = frozenset()
    run: UUID | None = None


async def watch(name: str, folder: Path, seconds: float) -> None:
    """Start a run of the deployment ``name`` whenever a folder has arrived in ``folder``.

    ``name`` is ``flow/deployment``. For ever, and never beside a run that is at work; a server
    that is away is asked again.

    A folder that a run has left as it was, because it failed before it came to it, is not tried
    again by itself, only by the next run that starts for another reason. One whose run was
    cancelled is: it has waited for no fault of its own.
    """
    tried = Tried()
    while True:
        try:
            tried = await look(name, folder, tried)
        except FileNotFoundError:  # a mark that went away between two looks
            pass
        except (PrefectException, HTTPError, OSError) as error:  # the server restarts, say
            log.warning("cannot look for new data: %s", error)
        await asyncio.sleep(seconds)


async def look(name: str, folder: Path, tried: Tried) -> Tried:
    """Start a run if there are marks in ``folder`` that none was started for, and none works.

    Neither while another flow is at work in the current folder: the run would end as *Cancelled*.

    Raises:
        PrefectException: the server does not know the deployment, or is not ready.
        httpx.HTTPError: it does not answer.
        OSError: the folder cannot be read; or a mark has just gone.
    """
    marks = {(f.name, f.with_name(f.name + READY).stat().st_mtime) for f in arrived(folder)}
    if not marks or in_use(Path.cwd()):
        return tried
    async with get_client() as client:
        deployment = (await client.read_deployment_by_name(name)).id
        last = await _last(client, tried.run) if tried.run else None
        if tried.run and (last is None or last.is_cancelled()):
            tried = Tried(marks=tried.marks - tried.fresh)
        fresh = marks - tried.marks
        under_way = last is not None and not (last.is_final() or last.is_paused())
        if not fresh or under_way or await _at_work(client, deployment):
            return tried
        run = await client.create_flow_run_from_deployment(deployment, tags=["new data"])
    log.info("new data in %s: a run starts", folder)
    return Tried(marks=tried.marks | fresh, fresh=frozenset(fresh), run=run.id)


async def _last(client: PrefectClient, run: UUID) -> State[Any] | None:
    """How ``run`` stands, or, if it has crashed, the run that takes it up; None if it is gone.

    One that has crashed is not started again here: ``flows.take_ups`` says how often it is.
    """
    wanted, last = FlowRunFilter(id=FlowRunFilterId(any_=[run])), None
    while found := await client.read_flow_runs(flow_run_filter=wanted, limit=1):
        last = found[0].state
        if last is None or not last.is_crashed():
            break
        key = FlowRunFilterIdempotencyKey(any_=[f"{TAKEN_UP}{found[0].id}"])
        wanted = FlowRunFilter(idempotency_key=key)
    return last


async def _at_work(client: PrefectClient, deployment: UUID) -> bool:
    runs = await client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=AT_WORK))
        ),
        limit=1,
    )
    return bool(runs)


def build_parser() -> argparse.ArgumentParser:
    """The options of ``python -m flows.sensor``."""
    parser = Parser(
        prog="python -m flows.sensor",
        description="Start a retraining when data arrive in flows.incoming; beside a worker.",
        epilog="example: python -m flows.sensor --deployment retraining/weekly",
    )
    parser.add_argument("--deployment", default="retraining/weekly", help="retraining/weekly")
    return parser


def main() -> int:
    """Watch the current folder's ``flows.incoming`` until stopped, or the worker ends."""
    chosen = build_parser().parse_args()
    end_with(int(os.environ.get(SCHEDULER_VARIABLE, 0)))
    config = load()
    if config.schedule.poll_seconds:
        folder = Path(config.flows.incoming)
        asyncio.run(watch(chosen.deployment, folder, config.schedule.poll_seconds))
    return 0


if __name__ == "__main__":
    run_stage(main)
