"""How a flow decides on a model: by the rules, and by a person where ``flows.approval`` says so.

A run that waits for a person is suspended: no process waits with it, and the answer starts it
anew from the top. What it had done is up to date by then, so it comes back to its question at
once, which is kept by the version's number: a yes to one model never promotes another.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import State
from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.people.telling import notify
from flows.steps.answers import AWAITING, Ruling
from flows.steps.command_tasks import decide
from flows.steps.commands import Workplace
from flows.steps.tasks import ended, with_retries
from pipeline.params.flows import FlowsConfig


class Approval(RunInput):
    """What a person answers on the run's page in Prefect."""

    promote: bool = True
    by: str = ""
    reason: str = ""


def settle(
    place: Workplace,
    config: FlowsConfig,
    *,
    version: int | None = None,
    new_only: bool = True,
    remarks: Sequence[str] = (),
) -> State[Any]:
    """Decide on ``version`` (default: the challenger), tell people, and return the flow's end.

    ``remarks`` are sentences for the notice. With ``flows.approval`` the run is suspended until a
    person has answered; where nothing could start it again (no deployment), it ends as *Awaiting
    approval*.

    Raises:
        StageError: it cannot be decided.
    """
    options = [*(["--version", str(version)] if version else []), *["--new-only"] * new_only]
    ruling = _ruling(place, config, [*options, *(["--hold"] if config.approval else [])])
    if ruling.verdict == AWAITING:
        text = _text(place, ruling, remarks)
        answer = _ask_person(config, ruling, text)
        if answer is None:
            return Completed(name="Awaiting approval", message=ruling.sentence)
        ruling = _ruling(place, config, _answered(ruling.version, answer))
    text = _text(place, ruling, remarks)
    notify(config, ruling.occasion, text)
    return Completed(name=ruling.occasion.capitalize(), message=ruling.sentence)


def _ruling(place: Workplace, config: FlowsConfig, options: list[str]) -> Ruling:
    found: Ruling = ended(with_retries(decide, config)(place, options, return_state=True))
    return found


def _answered(version: int, answer: Approval) -> list[str]:
    """Options of ``pipeline promote`` that carry out what a person said."""
    by = ["--by", answer.by] if answer.by.strip() else []
    if answer.promote:
        return ["--version", str(version), *by]
    return ["--version", str(version), "--decline", answer.reason.strip() or "no reason given", *by]


def _ask_person(config: FlowsConfig, ruling: Ruling, text: str) -> Approval | None:
    """The answer; None where a suspended run could not go on. Suspends the run if there is none.

    Raises:
        prefect.exceptions.Pause: until somebody answers.
    """
    command = f"pipeline promote --version {ruling.version}"
    context = FlowRunContext.get()
    assert context is not None
    assert context.flow_run is not None
    if context.flow_run.deployment_id is None:
        notify(config, AWAITING, f"{text}\n\nTo agree: `{command}`")
        return None
    key = f"version-{ruling.version}"
    if key not in (context.flow_run.empirical_policy.pause_keys or ()):
        page = f"[the run's page in Prefect]({flow_run.ui_url})"
        # said now: a question whose time is up is closed by Prefect's server, which tells nobody
        until = datetime.now(UTC) + timedelta(hours=config.approval_hours)
        notify(
            config,
            AWAITING,
            f"{text}\n\nAgree or decline on {page} before {until:%Y-%m-%d %H:%M} UTC,"
            f" or at any time: `{command}`",
        )
    description = (
        f"{ruling.sentence}\n\nWith *promote* it becomes champion; without, it is declined."
    )
    return suspend_flow_run(
        wait_for_input=Approval.with_initial_data(description=description),
        timeout=round(3600 * config.approval_hours),
        key=key,
    )


def _text(place: Workplace, ruling: Ruling, remarks: Sequence[str]) -> str:
    """The notice; the decision's page is shown with the run on the way."""
    parts = [ruling.sentence, *remarks]
    if ruling.page is not None:
        # the Markdown page lies beside the HTML one
        page = (place.root / ruling.page).with_suffix(".md")
        parts.append(f"The whole page: {page.with_suffix('.html')}")
        create_markdown_artifact(key="promotion", markdown=page.read_text(encoding="utf-8"))
    return "\n\n".join(parts)
