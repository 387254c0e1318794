"""The retraining flow: is anything new? Then train, evaluate, compare, promote or refuse, tell.

    python -m flows.retraining

If nothing that a stage reads has changed and nothing waits for a decision, it ends in seconds as
*Nothing to do*. The same code runs on demand, on a schedule and when new data has arrived.
"""

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import Flow, State, flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled, Completed, Failed

from flows.commands import StageError, Workplace
from flows.notices import Notice, NoticeError, addresses, send
from flows.report import headline, mlflow_page, publish
from flows.start import SCHEDULER_VARIABLE, run_once
from flows.tasks import Ruling, Standing, ask, decide, ended, standing, with_retries
from flows.work import register_model, run_stages, workplace
from flows.workspace import WorkspaceBusyError
from pipeline.leash import end_with
from pipeline.params.flows_config import FlowsConfig
from pipeline.params.schema import load
from pipeline.stage import run_stage

PROJECT = "yolov2-pipeline"
NOTHING = "Nothing to do"


def tell_of_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Hook: people are told of a run that failed, crashed or was cancelled."""
    occasion = "cancelled" if state.is_cancelled() else "failed"
    log, config = logging.getLogger("prefect.flow_runs"), FlowsConfig()
    try:
        config = load().flows
    except ValueError:  # that may be why it failed, and is then what people are told
        log.warning("params.yaml cannot be read: its defaults for notices hold")
    text = f"{flow.name} {flow_run.name}: {state.message or state.name}"
    if occasion in config.notify_on:
        try:
            send(Notice(occasion=occasion, title=f"{PROJECT}: {occasion}", body=text), addresses())
        except NoticeError as error:
            log.warning("%s", error)


@flow(
    name="retraining",
    on_failure=[tell_of_failure],
    on_crashed=[tell_of_failure],
    on_cancellation=[tell_of_failure],
)
def retraining() -> State[Any]:
    """Bring the pipeline up to date, decide on its model, and tell people.

    Ends as *Nothing to do*, *Promoted*, *Refused* or *Awaiting approval*; as *Failed* with one
    sentence when a stage fails, *Cancelled* when another run is at work in this folder.
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
    stale: Sequence[str] = ended(with_retries(ask, config)(place, return_state=True))
    if not stale:
        found: Standing = ended(with_retries(standing, config)(place, return_state=True))
        if not found.pending:
            notify(config, "nothing to do", found.sentence)
            return Completed(name=NOTHING, message=found.sentence)
    run_stages(place, config)
    register_model(place, config)
    publish(place.root)
    options = ["--new-only", *(["--dry-run"] if config.approval else [])]
    ruling: Ruling = ended(with_retries(decide, config)(place, options, return_state=True))
    return _conclude(place, config, ruling)


def _conclude(place: Workplace, config: FlowsConfig, ruling: Ruling) -> State[Any]:
    """The flow's end after a decision: its page, the notice, the state."""
    wanted = config.approval and ruling.verdict == "promoted"
    occasion = "awaiting approval" if wanted else ruling.verdict
    text = f"{ruling.sentence}\n\n{headline(place.root)}\n\n{mlflow_page(place.root)}"
    if wanted:
        text += f"\n\nTo agree: `python -m pipeline.promote --version {ruling.version}`"
    if ruling.page is not None:
        # the Markdown page lies beside the HTML one
        page = (place.root / ruling.page).with_suffix(".md")
        text += f"\n\nThe whole page: {page.with_suffix('.html')}"
        create_markdown_artifact(key="promotion", markdown=page.read_text(encoding="utf-8"))
    notify(config, occasion, text)
    return Completed(name=occasion.capitalize(), message=ruling.sentence)


def notify(config: FlowsConfig, occasion: str, text: str) -> None:
    """Tell people, if they want to hear of this; a notice that is lost does not fail the run."""
    to = addresses() if occasion in config.notify_on else []
    if to:
        notice = Notice(occasion=occasion, title=f"{PROJECT}: {occasion}", body=text)
        step = notify_people.with_options(
            retries=config.retries, retry_delay_seconds=config.retry_seconds
        )
        state: State[Any] = step(notice, return_state=True)
        if not state.is_completed():
            get_run_logger().warning("the notice was not delivered: %s", state.message)


@task(name="notify", task_run_name="notify", cache_policy=NO_CACHE)
def notify_people(notice: Notice) -> None:
    """Send a notice to the configured addresses, which are read here: parameters are stored."""
    send(notice, addresses())


def main() -> int:
    """Run the flow once, with a temporary Prefect server if there is none; 1 when it failed."""
    argparse.ArgumentParser(
        prog="python -m flows.retraining",
        description="Train, evaluate, compare, promote or refuse, tell; or find nothing to do.",
    ).parse_args()
    return run_once(retraining, {})


if __name__ == "__main__":
    run_stage(main)
