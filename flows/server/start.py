"""How a flow is run once from the command line, with or without a Prefect server."""

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from prefect import Flow, State

from flows.server.api import ServerConfig, use_prefect_api
from flows.server.runs import close_dead_runs
from flows.steps.stages import stage_names
from flows.steps.workspace import one_of_several, sole_pipeline
from pipeline.params.schema import load

SCHEDULER_VARIABLE = "TRAINING_SCHEDULER"
"""Environment variable: number of the process whose flow runs end with it, however it ends."""


def run_once(
    run: Flow[..., State[Any]], parameters: Mapping[str, Any], *, alone: bool = True
) -> int:
    """Run a flow, with a temporary Prefect server if there is none; 1 unless it completed.

    Not ``alone`` is a run that leaves the folder as it is, beside which others may work.

    Raises:
        ValueError: the folder has no pipeline, or another run is at work in it.
        ServerError: the Prefect server did not start.
    """
    root = Path.cwd()
    stage_names(root)
    waits = load().flows.if_busy == "wait"
    with one_of_several(root, run.name) as nobody_else:
        # a folder that is busy is refused here, before anything was started
        with sole_pipeline(root, wait=waits) if alone else nullcontext():
            if use_prefect_api(ServerConfig()).own and nobody_else:
                close_dead_runs(run.name)
        state: State[Any] = run(**parameters, return_state=True)
    if not state.is_completed():
        print(f"error: {run.name} ended as {state.name}: {state.message}", file=sys.stderr)
        return 1
    named = "" if state.name == "Completed" else f": {str(state.name).lower()}"
    print(f"{run.name} completed{named}: {state.message}")
    return 0
