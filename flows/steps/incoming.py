"""New data that arrive as folders in ``flows.incoming``: found, added, or set aside with a reason.

A folder counts as arrived when its mark is there: ``data/incoming/2026-05.ready`` for
``data/incoming/2026-05``, made after the last file (``touch``). What was added is gone from there
afterwards; what was refused stays, and its mark becomes ``2026-05.refused`` with the reason. What
could not be added for a reason that is not its own (no room, say) keeps its mark for the next run.
"""

from pathlib import Path
from typing import Any

from prefect import State, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from flows.people.telling import notify
from flows.steps.command_tasks import command_task
from flows.steps.commands import StageError, Workplace
from flows.steps.tasks import INPUT, ended, with_retries
from pipeline.params.flows import FlowsConfig

READY, REFUSED = ".ready", ".refused"


def arrived(folder: Path) -> list[Path]:
    """The folders in ``folder`` whose mark is there, in the order of their names."""
    marks = sorted(folder.glob(f"*{READY}"))
    return [mark.with_suffix("") for mark in marks if mark.with_suffix("").is_dir()]


def take_in(place: Workplace, config: FlowsConfig) -> list[str]:
    """Add every folder that has arrived to the data set; a sentence for each, for the notice.

    A folder that is refused is told of at once and does not keep the others, or the training,
    waiting.

    Raises:
        StageError: it failed for a reason that is not the folder's own (a full disk, a time limit,
            a mistake of ours): this folder and those after it keep their marks.
    """
    said = []
    for folder in arrived(place.root / config.incoming):
        mark = folder.with_name(folder.name + READY)
        step = with_retries(add_data, config).with_options(task_run_name=f"add {folder.name}")
        state: State[Any] = step(folder, place, return_state=True)
        if state.is_completed():
            mark.unlink(missing_ok=True)
            said.append(f"new data: {ended(state)}")
            continue
        reason = state.message or "no reason given"
        if state.name != INPUT:
            raise StageError(f"{folder} was not added, the next run tries it again: {reason}")
        mark.write_text(f"{reason}\n", encoding="utf-8")
        mark.replace(mark.with_suffix(REFUSED))
        text = f"{folder} was not added: {reason}. Mend it and `touch {mark}`"
        get_run_logger().warning("%s", text)
        notify(config, "data refused", text)
        said.append(text)
    return said


@task(name="add data", cache_policy=NO_CACHE)
def add_data(folder: Path, place: Workplace) -> State[Any]:
    """Check ``folder`` and move its files into the data set, all or nothing."""
    return command_task(place, "data", ["add", str(folder), "--move"], _told)


def _told(lines: tuple[str, ...]) -> str:
    """The line that says how many images were added, or that all were known."""
    said = (line for line in lines if " added to " in line or "nothing new" in line)
    return next(said, lines[-1]).rstrip(":")  # a list follows it
