"""Runs that a worker, or ``make schedule``, has left behind in this folder when it was ended.

    python -m flows.left_behind

Closes them on the Prefect server, tells people, and has the crashed ones taken up again. A worker
runs this before it starts (``deploy/worker.sh``): Prefect itself would show a run whose worker
was stopped or killed as *Running* for ever, and keep the slot of its deployment.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.responses import DeploymentResponse

from flows.people.telling import tell_of_end
from flows.promotion import promotion
from flows.retraining import retraining
from flows.server.runs import Closed, close_dead_runs
from flows.steps.workspace import WorkspaceBusyError, one_of_several, sole_pipeline
from flows.sweep import sweep
from flows.training import training
from pipeline.params.flows import FlowsConfig
from pipeline.params.schema import load
from pipeline.running.entry import run_stage
from yolov2.command_line import Parser

IN_COPIES_ONLY: list[Flow[..., Any]] = [sweep]
FLOWS: list[Flow[..., Any]] = [retraining, promotion, training, *IN_COPIES_ONLY]
PATIENCE = 90.0
"""Seconds that a killed run's last stage is given to save its checkpoint and end."""
WORKING_DIRECTORY = "prefect.deployments.steps.set_working_directory"


def close_all(
    root: Path,
    config: FlowsConfig,
    deployments: Sequence[UUID] | None = None,
    patience: float = 0.0,
) -> list[Closed]:
    """Close every run of ours that cannot be alive, and take it up.

    Those of ``deployments``, or all of a server that is this folder's own. Of a folder in which
    somebody is still at work after ``patience`` seconds, only those that work in copies are looked
    at, and of no flow of which a run is at work.
    """
    closed: list[Closed] = []
    with _free(root, patience) as free:
        for served in FLOWS:
            with one_of_several(root, served.name) as nobody_else:
                if nobody_else and (free or served in IN_COPIES_ONLY):
                    closed += close_dead_runs(served.name, config, deployments)
    return closed


@contextmanager
def _free(root: Path, patience: float) -> Iterator[bool]:
    """Whether nobody works in ``root``; nobody can while the block runs."""
    deadline = time.monotonic() + patience
    while True:
        try:
            with sole_pipeline(root):
                yield True
            return
        except WorkspaceBusyError as error:
            if time.monotonic() > deadline:
                print(f"{error}; its runs are left as they are")
                break
        time.sleep(1)
    yield False


def here(root: Path) -> list[UUID]:
    """The deployments whose runs work in the folder ``root``."""
    with get_client(sync_client=True) as client:
        known = client.read_deployments()
    return [found.id for found in known if _directory(found) == root]


def _directory(deployment: DeploymentResponse) -> Path | None:
    for step in deployment.pull_steps or ():
        if WORKING_DIRECTORY in step:
            return Path(str(step[WORKING_DIRECTORY].get("directory", ""))).resolve()
    return None


def build_parser() -> argparse.ArgumentParser:
    """The options of ``python -m flows.left_behind``."""
    return Parser(
        prog="python -m flows.left_behind",
        description="Close, and take up, runs whose worker was ended. Before a worker starts.",
        epilog="example: python -m flows.left_behind && prefect worker start --pool local",
    )


def main() -> int:
    """Close what was left behind in the current folder."""
    build_parser().parse_args()
    root = Path.cwd().resolve()
    for closed in close_all(root, load().flows, here(root), PATIENCE):
        said = closed.state.message or ""
        if closed.successor:
            said += f" {closed.successor} takes it up."
        elif closed.state.is_crashed():
            said += " It is not started again by itself."
        print(f"{closed.flow} {closed.run.name}: {said}")
        tell_of_end(closed.flow, closed.run, closed.state.model_copy(update={"message": said}))
    return 0


if __name__ == "__main__":
    run_stage(main)
