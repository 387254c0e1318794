"""The promotion flow: a version of the model is judged by the rules, and by a person if wanted.

    python -m flows.promotion [--version N]

The same decision as ``pipeline promote``, with retries, notices and Prefect's pages.
With ``flows.approval`` and a Prefect server (``make schedule``, or a worker) the run waits for a
person's answer; without one the version stays challenger.
"""

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import State, flow
from prefect.states import Cancelled, Failed

from flows.people.telling import tell_of_failure
from flows.server.start import SCHEDULER_VARIABLE, run_once
from flows.steps.commands import StageError
from flows.steps.decision import settle
from flows.steps.work import pull_shared, workplace
from flows.steps.workspace import WorkspaceBusyError
from pipeline.params.schema import load
from pipeline.running.entry import run_stage
from pipeline.running.leash import end_with
from yolov2.command_line import Parser


@flow(
    name="promotion",
    on_failure=[tell_of_failure],
    on_crashed=[tell_of_failure],
    on_cancellation=[tell_of_failure],
)
def promotion(version: int | None = None, approval: bool | None = None) -> State[Any]:
    """Promote ``version`` (default: the challenger) or refuse it, and tell people.

    ``approval`` overrides ``flows.approval``: whether a person has to agree. Ends as *Promoted*,
    *Refused*, *Declined* (by the person), *Awaiting approval*, *Failed* or *Cancelled*.
    """
    end_with(int(os.environ.get(SCHEDULER_VARIABLE, 0)))
    try:
        config = load().flows
        if approval is not None:
            config = replace(config, approval=approval)
        with workplace(Path.cwd(), config) as place:
            pull_shared(place, config)
            return settle(place, config, version=version, new_only=False)
    except WorkspaceBusyError as error:
        return Cancelled(message=str(error))
    except (StageError, ValueError) as error:
        return Failed(message=str(error))


def build_parser() -> argparse.ArgumentParser:
    """The options of ``python -m flows.promotion``."""
    parser = Parser(
        prog="python -m flows.promotion",
        description="Promote the challenger, or refuse it.",
        epilog="example: python -m flows.promotion --version 3",
    )
    parser.add_argument("--version", type=int, metavar="N", help="default: alias challenger")
    return parser


def main() -> int:
    """Run the flow once, with a temporary Prefect server if there is none; 1 when it failed."""
    chosen = build_parser().parse_args()
    return run_once(promotion, {"version": chosen.version} if chosen.version else {})


if __name__ == "__main__":
    run_stage(main)
