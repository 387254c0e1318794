"""The retraining flow: is anything new? Then train, evaluate, compare, promote or refuse, tell.

    python -m flows.retraining

Folders that have arrived in ``flows.incoming`` are added to the data set first. If nothing that a
stage reads has changed and nothing waits for a decision, it ends in seconds as
*Nothing to do*. The same code runs on demand, on a schedule and when new data has arrived.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import State, flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.states import Cancelled, Completed, Failed

from flows.people.report import headline, mlflow_page, publish
from flows.people.telling import notify, tell_of_failure
from flows.server.runs import take_up
from flows.server.start import SCHEDULER_VARIABLE, run_once
from flows.steps.answers import Waiting
from flows.steps.command_tasks import NOT_MEASURED, drift, standing
from flows.steps.commands import StageError, Workplace
from flows.steps.decision import settle
from flows.steps.incoming import take_in
from flows.steps.stages import was_trained
from flows.steps.tasks import ask, ended, with_retries
from flows.steps.work import pull_shared, push_shared, register_model, run_stages, workplace
from flows.steps.workspace import WorkspaceBusyError
from pipeline.params.flows import FlowsConfig
from pipeline.params.schema import load
from pipeline.paths import REPORTS
from pipeline.running.entry import run_stage
from pipeline.running.leash import end_with
from yolov2.command_line import Parser

NOTHING = "Nothing to do"


@flow(
    name="retraining",
    on_failure=[tell_of_failure],
    on_crashed=[tell_of_failure, take_up],
    on_cancellation=[tell_of_failure],
)
def retraining() -> State[Any]:
    """Bring the pipeline up to date, decide on its model, and tell people.

    Ends as *Nothing to do*, *Promoted*, *Refused*, *Declined* or *Awaiting approval*; as
    *Failed* with one sentence when a stage fails, *Cancelled* when another run is at work
    in this folder.
    """
    end_with(int(os.environ.get(SCHEDULER_VARIABLE, 0)))
    try:
        config = load().flows
        with workplace(Path.cwd(), config) as place:
            return _retrain(place, config)
    except WorkspaceBusyError as error:
        return Cancelled(message=str(error))
    except (StageError, ValueError) as error:
        return Failed(message=str(error))


def _retrain(place: Workplace, config: FlowsConfig) -> State[Any]:
    pull_shared(place, config)
    remarks = take_in(place, config)
    stale: Sequence[str] = ended(with_retries(ask, config)(place, return_state=True))
    if not stale:
        found: Waiting = ended(with_retries(standing, config)(place, return_state=True))
        if not found.pending:
            notify(config, "nothing to do", " ".join([found.sentence, *remarks]))
            return Completed(name=NOTHING, message=found.sentence)

    def measure(state: str) -> None:
        if state != "Unchanged" and was_trained(place.root):
            remarks.append(_drift(place))

    run_stages(place, config, after={"validate": measure})
    push_shared(place, config)
    runs = register_model(place, config)
    publish(place.root, runs)
    remarks += [headline(place.root), mlflow_page(place.root, runs)]
    return settle(place, config, remarks=remarks)


def _drift(place: Workplace) -> str:
    """A sentence for the notice. Drift is a hint: where it cannot be measured, training goes on."""
    state: State[Any] = drift(place, return_state=True)
    if not state.is_completed() or state.name == NOT_MEASURED:
        get_run_logger().warning("drift was not measured: %s", state.message)
        return f"Drift was not measured: {state.message}"
    page = (place.root / REPORTS / "drift.md").read_text(encoding="utf-8")
    create_markdown_artifact(key="drift", markdown=page)
    return f"Training data: {ended(state)}."


def build_parser() -> argparse.ArgumentParser:
    """The options of ``python -m flows.retraining``."""
    return Parser(
        prog="python -m flows.retraining",
        description="Train, evaluate, compare, promote or refuse, tell; or find nothing to do.",
        epilog="example: python -m flows.retraining",
    )


def main() -> int:
    """Run the flow once, with a temporary Prefect server if there is none; 1 when it failed."""
    build_parser().parse_args()
    return run_once(retraining, {})


if __name__ == "__main__":
    run_stage(main)
