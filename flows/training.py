"""The training flow: the stages of ``dvc.yaml`` one after the other, then the model's registration.

    python -m flows.training

DVC decides what is stale; Prefect shows what ran, for how long, what it printed and where it
failed. A run of which nothing was stale ends in seconds, its tasks in the state *Unchanged*.
"""

import argparse
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from prefect import State, flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.states import Cancelled, Completed, Failed

from flows.report import ap_table, class_table, headline, mlflow_page
from flows.runs import close_dead_runs
from flows.server import ServerConfig, use_prefect_api
from flows.stages import Outcome, StageError, reproduce, run, stage_names
from flows.workspace import WorkspaceBusyError, sole_pipeline
from pipeline.leash import end_with
from pipeline.stage import run_stage

REGISTER = [sys.executable, "-m", "pipeline.register"]

SCHEDULER_VARIABLE = "TRAINING_SCHEDULER"
"""Environment variable: number of the process whose flow runs end with it, however it ends."""

STATE_NAMES: dict[Outcome, str] = {
    "ran": "Completed",
    "restored": "Restored",
    "unchanged": "Unchanged",
}
"""What a stage's task is called in Prefect when it has ended well."""


@task(name="stage", task_run_name="{stage}", cache_policy=NO_CACHE)
def run_dvc_stage(stage: str, lock: int) -> State[Outcome]:
    """Bring one DVC stage up to date; the state's name tells whether it had to run.

    A failure is a state with the stage's own words, not an exception: its traceback would be
    ours. It is not tried again: data that fail validation fail again.
    """
    try:
        outcome = reproduce(Path.cwd(), stage, get_run_logger().info, lock)
    except StageError as error:
        return Failed(message=str(error))
    return Completed(name=STATE_NAMES[outcome], message=f"{stage}: {outcome}", data=outcome)


@task(name="register", task_run_name="register", cache_policy=NO_CACHE)
def register(lock: int) -> State[None]:
    """Register the exported model in MLflow; one that is registered already stays as it is."""
    try:
        run(Path.cwd(), "registration", REGISTER, get_run_logger().info, lock)
    except StageError as error:
        return Failed(message=str(error))
    return Completed()


@flow(name="training")
def training() -> State[None]:
    """Reproduce every stage, register the model and publish its figures.

    Ends as *Failed* with one sentence when a stage fails (what follows it does not run), and as
    *Cancelled* when another run is at work in this folder.
    """
    end_with(int(os.environ.get(SCHEDULER_VARIABLE, 0)))
    root = Path.cwd()
    try:
        with sole_pipeline(root) as lock:
            names = [
                _ended(run_dvc_stage.with_options(name=stage)(stage, lock, return_state=True))
                for stage in stage_names(root)
            ]
            _ended(register(lock, return_state=True))
            publish(root)
    except WorkspaceBusyError as error:
        return Cancelled(message=str(error))
    except (StageError, ValueError) as error:
        return Failed(message=str(error))
    counts = ", ".join(f"{number} {name.lower()}" for name, number in Counter(names).items())
    return Completed(message=f"{headline(root)}; stages: {counts}")


def _ended(state: State[Any]) -> str:
    """Name of the state of a task that has ended well; ``StageError`` if it has not."""
    if not state.is_completed():
        raise StageError(state.message)
    return state.name or state.type.value


def publish(root: Path) -> None:
    """Show the model's accuracy and its MLflow runs on the pages of the flow run."""
    create_table_artifact(
        key="accuracy", table=ap_table(root), description="pycocotools' figures of the best weights"
    )
    create_table_artifact(
        key="accuracy-by-class", table=class_table(root), description="Worst class first"
    )
    create_markdown_artifact(key="mlflow-runs", markdown=mlflow_page(root))


def main() -> int:
    """Run the flow once, with a temporary Prefect server if there is none; 1 when it failed."""
    argparse.ArgumentParser(
        prog="python -m flows.training", description="Run the whole pipeline once, under Prefect."
    ).parse_args()
    root = Path.cwd()
    stage_names(root)
    with sole_pipeline(root):  # a second run is refused here, before it has started anything
        if use_prefect_api(ServerConfig()).own:
            close_dead_runs(training.name)
    state = training(return_state=True)
    if not state.is_completed():
        print(f"error: training ended as {state.name}: {state.message}", file=sys.stderr)
        return 1
    print(f"training completed: {state.message}")
    return 0


if __name__ == "__main__":
    run_stage(main)
