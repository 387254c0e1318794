"""Serves the training flow on this machine: on demand from Prefect's pages, and on a schedule.

    python -m flows.schedule [--cron "0 3 * * 1"] [--timezone UTC] [--port 4200]

Starts a Prefect server that only this machine reaches, unless one is configured, and works until
Ctrl-C or SIGTERM; then the run at work, the server and all their processes are ended.
"""

import argparse
from dataclasses import replace
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pipeline.params.schema import ScheduleConfig, load
from pipeline.stage import run_stage

ON_DEMAND = "on-demand"
WEEKLY = "weekly"


def serve_training(schedule: ScheduleConfig, port: int) -> None:
    """Serve the deployments ``training/on-demand`` and ``training/weekly`` until stopped.

    Raises:
        ServerError: the Prefect server did not start.
        ValueError: Prefect does not understand the cron line or the time zone.
    """
    from prefect import serve
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.deployments.runner import RunnerDeployment
    from prefect.schedules import Cron

    from flows.server import ServerConfig, use_prefect_api
    from flows.training import training

    cron = Cron(schedule.cron, timezone=schedule.timezone)
    one_at_a_time = ConcurrencyLimitConfig(
        limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
    )
    deployments = [
        RunnerDeployment.from_flow(training, ON_DEMAND, concurrency_limit=one_at_a_time),
        RunnerDeployment.from_flow(
            training, WEEKLY, schedule=cron, concurrency_limit=one_at_a_time
        ),
    ]
    address = use_prefect_api(ServerConfig(schedules=True, port=port))
    print(f"Prefect's pages: {address.removesuffix('/api')}   (Ctrl-C ends everything)")
    print(f"training/{WEEKLY} runs at '{schedule.cron}' {schedule.timezone}", flush=True)
    serve(*deployments, print_starting_message=False)


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


def main() -> int:
    """Serve until stopped; 1 when the server cannot start."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.schedule",
        description="Serve the training flow on this machine: on demand and on a schedule.",
    )
    parser.add_argument("--cron", help="minute hour day month weekday (default: schedule.cron)")
    parser.add_argument("--timezone", help="such as Europe/Berlin (default: schedule.timezone)")
    parser.add_argument("--port", type=int, default=4200, help="of Prefect's pages (4200)")
    arguments = parser.parse_args()
    serve_training(requested(arguments, load().schedule), arguments.port)
    return 0


if __name__ == "__main__":
    run_stage(main)
