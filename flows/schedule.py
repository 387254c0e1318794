"""Serves the flows on this machine: retraining on a schedule, the others on demand.

    python -m flows.schedule [--cron "0 3 * * 1"] [--timezone UTC] [--port 4200]

Starts a Prefect server that only this machine reaches, unless one is configured, and works until
Ctrl-C or SIGTERM; then the run at work, the server and all their processes are ended.
"""

import argparse
import asyncio
import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner
from prefect.schedules import Cron

from flows.left_behind import close_all
from flows.promotion import promotion
from flows.retraining import retraining
from flows.sensor import watch
from flows.server.api import ServerConfig, use_prefect_api
from flows.server.start import SCHEDULER_VARIABLE
from flows.server.unattended import catch_up
from flows.sweep import sweep
from flows.training import training
from pipeline.params.flows import ScheduleConfig
from pipeline.params.schema import load
from pipeline.running.entry import run_stage
from yolov2.command_line import Parser

ON_DEMAND = "on-demand"
DECISION = "decision"
WEEKLY = "weekly"
TRIALS = "trials"


def deployments(schedule: ScheduleConfig) -> list[RunnerDeployment]:
    """Retraining weekly, which may be started by hand too; training, promotion, sweeps on demand.

    A second run of a deployment is cancelled while the first one works; so is, by the flow
    itself, a run of one deployment beside a run of the other.
    """
    limit = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    cron = Cron(schedule.cron, timezone=schedule.timezone)
    return [
        RunnerDeployment.from_flow(training, ON_DEMAND, concurrency_limit=limit),
        RunnerDeployment.from_flow(promotion, DECISION, concurrency_limit=limit),
        RunnerDeployment.from_flow(retraining, WEEKLY, schedule=cron, concurrency_limit=limit),
        RunnerDeployment.from_flow(sweep, TRIALS, concurrency_limit=limit),
    ]


async def serve(
    served: Sequence[RunnerDeployment], schedule: ScheduleConfig, incoming: Path
) -> None:
    """Execute the deployments' runs in child processes until SIGINT or SIGTERM.

    A retraining that was missed is made up for, and one starts when data arrive in ``incoming``.

    Unlike ``prefect.serve``, which leaves a run that it kills in the state *Running*, this asks
    the runner to cancel it first.
    """
    runner = Runner()
    known = {d.name: await runner.aadd_deployment(d) for d in served}
    serving = asyncio.create_task(runner.start())
    await asyncio.sleep(0)  # the runner now has its own SIGTERM handler, which ours replaces
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    if schedule.catch_up:
        await catch_up(known[WEEKLY], schedule)
    watching = asyncio.create_task(
        watch(f"{retraining.name}/{WEEKLY}", incoming, schedule.poll_seconds)
        if schedule.poll_seconds
        else asyncio.sleep(0)
    )
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        await runner.astop()
    for task in (stopping, watching):
        task.cancel()
    await serving


def requested(arguments: argparse.Namespace, configured: ScheduleConfig) -> ScheduleConfig:
    """The schedule of ``params.yaml``, with what the command line overrides.

    Raises:
        ValueError: the cron line has not five fields, or the time zone is unknown.
    """
    schedule = replace(
        configured,
        cron=arguments.cron or configured.cron,
        timezone=arguments.timezone or configured.timezone,
    )
    try:
        ZoneInfo(schedule.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(
            f"timezone must be a name like 'Europe/Berlin' or 'UTC', not '{schedule.timezone}'"
        ) from None
    return schedule


def build_parser() -> argparse.ArgumentParser:
    """The options of ``python -m flows.schedule``."""
    parser = Parser(
        prog="python -m flows.schedule",
        description="Serve the flows here: training on demand, retraining on a schedule.",
        epilog="example: python -m flows.schedule --cron '0 3 * * 1' --timezone Europe/Berlin",
    )
    parser.add_argument("--cron", help="minute hour day month weekday (default: schedule.cron)")
    parser.add_argument("--timezone", help="such as Europe/Berlin (default: schedule.timezone)")
    parser.add_argument("--port", type=int, default=4200, help="of Prefect's pages (4200)")
    return parser


def main() -> int:
    """Serve until stopped."""
    arguments = build_parser().parse_args()
    config = load()
    schedule = requested(arguments, config.schedule)
    served = deployments(schedule)
    api = use_prefect_api(ServerConfig(schedules=True, port=arguments.port))
    if api.own:
        close_all(Path.cwd(), config.flows)
    os.environ[SCHEDULER_VARIABLE] = str(os.getpid())
    print(f"Prefect's pages: {api.pages}   (Ctrl-C ends everything)")
    print(f"retraining/{WEEKLY} runs at '{schedule.cron}' {schedule.timezone}", flush=True)
    asyncio.run(serve(served, schedule, Path(config.flows.incoming)))
    return 0


if __name__ == "__main__":
    run_stage(main)
