"""A working copy at work under a flow: its lock, its stages in order, its registration."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from prefect import get_run_logger

from flows.steps.command_tasks import register
from flows.steps.commands import Workplace
from flows.steps.stages import LINKS, stage_names
from flows.steps.tasks import STATE_NAMES, ended, exchange, run_dvc_stage, with_retries
from flows.steps.workspace import sole_pipeline
from pipeline.params.flows import FlowsConfig
from pipeline.running.processes import VARIABLE as INVOCATION


@contextmanager
def workplace(
    root: Path, config: FlowsConfig, environment: Mapping[str, str] | None = None
) -> Iterator[Workplace]:
    """``root``, locked for the block as ``flows.if_busy`` says.

    Raises:
        WorkspaceBusyError: another run is at work there, and this one is not to wait.
    """
    log = get_run_logger()
    with sole_pipeline(root, wait=config.if_busy == "wait", tell=log.info) as lock:
        yield Workplace(
            root=root,
            lock=lock,
            emit=log.info,
            limit_seconds=3600 * config.stage_hours,
            pull=config.share,
            # each stage is a call of DVC of its own, and yet of one run
            environment={INVOCATION: uuid4().hex, **(environment or {})},
        )


def run_stages(
    place: Workplace, config: FlowsConfig, after: Mapping[str, Callable[[str], None]] | None = None
) -> list[str]:
    """Bring every stage of ``dvc.yaml`` up to date; the states' names, in their order.

    With ``flows.share`` the DVC remote gets what each has made.

    ``after`` has what to do when a stage has ended well, by its name; it is told the state's.

    Raises:
        StageError: a stage failed; those after it did not run.
        ValueError: ``dvc.yaml`` cannot be used.
    """
    names = []
    for stage in stage_names(place.root):
        step = with_retries(run_dvc_stage, config).with_options(name=stage)
        names.append(str(ended(step(stage, place, return_state=True))))
        if names[-1] == STATE_NAMES["ran"] and stage != LINKS:  # which runs each time
            push_shared(place, config)  # at once: a later one may fail, and a clone is gone then
        if after and stage in after:
            after[stage](names[-1])
    return names


def pull_shared(place: Workplace, config: FlowsConfig) -> None:
    """With ``flows.share``, fetch what the DVC remote has, other machines' results among it.

    Raises:
        StageError: there is no remote, or it does not answer.
    """
    if config.share:
        ended(with_retries(exchange, config)("pull", place, return_state=True))


def push_shared(place: Workplace, config: FlowsConfig) -> None:
    """With ``flows.share``, give the DVC remote what the stages have made.

    Raises:
        StageError: there is no remote, or it does not answer.
    """
    if config.share:
        ended(with_retries(exchange, config)("push", place, return_state=True))


def register_model(place: Workplace, config: FlowsConfig) -> dict[str, str]:
    """Register the exported model; the MLflow runs that made it, by stage.

    Raises:
        StageError: it cannot be.
    """
    return dict(ended(with_retries(register, config)(place, return_state=True)))
