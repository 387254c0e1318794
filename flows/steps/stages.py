"""One stage of ``dvc.yaml``: brought up to date, what DVC did, and why it failed."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from flows.steps.commands import StageError, Workplace, run
from pipeline.running import failure
from pipeline.workspace.dvc_files import DVC_LOCK, DVC_YAML, read_yaml
from pipeline.workspace.stages import not_up_to_date

LINKS = "links"
"""A stage that runs each time."""

Outcome = Literal["ran", "restored", "unchanged"]
"""What DVC did: executed the stage, took its outputs from the run cache, or nothing."""

_HELD = ("is busy, it is being blocked by", "Unable to acquire lock")
"""What DVC says when another DVC command is at work in the folder."""


def stage_names(root: Path) -> list[str]:
    """Names of the stages in ``dvc.yaml``, in the order in which they are written there.

    Raises:
        ValueError: ``root`` has no ``dvc.yaml``, or it cannot be read, or it has no stages.
    """
    file = root / DVC_YAML
    if not file.is_file():
        raise ValueError(f"no {DVC_YAML} in {root}: run from the repository's root")
    stages = read_yaml(file).get("stages")
    if not stages:
        raise ValueError(f"{file} has no stages")
    return list(stages)


def stale(place: Workplace) -> list[str]:
    """Names of what is not up to date: stages, and data under ``dvc add`` that changed.

    Where nothing is, what lies behind links in the data is looked at as well, because DVC does not
    follow them. Not before: in a fresh clone there may be no data to look at yet.

    Raises:
        StageError: DVC cannot tell.
    """
    quiet = replace(place, emit=lambda line: None)
    found = _not_up_to_date(quiet)
    if not found and LINKS in stage_names(place.root):
        reproduce(quiet, LINKS)
        found = _not_up_to_date(quiet)
    return found


def _not_up_to_date(place: Workplace) -> list[str]:
    return list(not_up_to_date(run(place, "`dvc status`", dvc("status", "--json")).lines))


def was_trained(root: Path) -> bool:
    """Whether ``dvc.lock`` knows of a training in this folder."""
    return "train" in (read_yaml(root / DVC_LOCK).get("stages") or {})


def reproduce(place: Workplace, stage: str) -> Outcome:
    """Bring one stage up to date, and that stage only.

    Single-item, so that a stage can run under no other name than its own, and that no stage before
    it runs again for an edit that came meanwhile. An edit of what the stage itself reads, while it
    runs, makes it fail in the end, and stale. ``--wait-for-lock``, because a finished stage would
    else fail when another DVC command holds the repository's lock.

    Raises:
        StageError: the stage failed; its ``kind`` says whether to try again.
    """
    failure.clear(stage, place.root)
    options = ["--single-item", *(["--pull"] if place.pull else [])]
    try:
        lines = run(place, f"stage '{stage}'", dvc("repro", *options, stage)).lines
    except StageError as error:
        raise _explained(error, stage, place.root) from None
    if any(line == f"Stage '{stage}' didn't change, skipping" for line in lines):
        return "unchanged"
    if any(line.startswith(f"Stage '{stage}' is cached - skipping run") for line in lines):
        return "restored"
    return "ran"


def dvc(*arguments: str) -> Sequence[str]:
    """The command line of DVC, which waits for its lock."""
    return [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]


def _explained(error: StageError, stage: str, root: Path) -> StageError:
    """``error`` with the kind that the stage itself, or DVC, has told."""
    if error.kind == "stopped":
        return error
    known, text = failure.read(stage, root), str(error)
    if known is not None:
        if known.kind == "cut off":
            text = f"{known.message} ({text})"
        return StageError(text, kind=known.kind, status=error.status)
    held = any(sign in text for sign in _HELD)
    return StageError(text, kind="passing" if held else "input", status=error.status)
