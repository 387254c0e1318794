"""How the flows tell people: a notice as a task, and a hook for runs that end badly."""

from typing import Any

from prefect import Flow, State, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun
from prefect.logging.loggers import flow_run_logger

from flows.people.notices import Notice, NoticeError, addresses, send
from pipeline.params.flows import FlowsConfig, Occasion
from pipeline.params.schema import load

PROJECT = "yolov2-pipeline"


def tell_of_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Hook: people are told of a run that failed, crashed or was cancelled."""
    tell_of_end(flow.name, flow_run, state)


def tell_of_end(flow: str, flow_run: FlowRun, state: State[Any]) -> None:
    """Tell people that a run failed, crashed or was cancelled, if they want to hear of it."""
    occasion = "cancelled" if state.is_cancelled() else "failed"
    log, config = flow_run_logger(flow_run), FlowsConfig()
    try:
        config = load().flows
    except ValueError:  # that may be why it failed, and is then what people are told
        log.warning("params.yaml cannot be read: its defaults for notices hold")
    text = f"{flow} {flow_run.name}: {state.message or state.name}"
    if occasion in config.notify_on:
        try:
            send(Notice(occasion=occasion, title=f"{PROJECT}: {occasion}", body=text), addresses())
        except NoticeError as error:
            log.warning("%s", error)


def notify(config: FlowsConfig, occasion: Occasion, text: str) -> None:
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
