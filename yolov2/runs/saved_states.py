"""The checkpoints of a training that goes on: the newest few, each whole or not there.

``step-00001200.pt`` is the state after that optimiser step; ``last.pt`` is the newest of them
under a fixed name. A damaged one is passed over for the one before it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from yolov2.config.section import require
from yolov2.network.checkpoint import read_checkpoint, save_checkpoint
from yolov2.network.yolov2 import YOLOv2
from yolov2.runs.folder import LAST

Content = TypeVar("Content")

STEP_FILES = "step-*.pt"


class Sharing(Protocol):
    """The processes of a training; ``yolov2.training.world.World`` has this form."""

    @property
    def is_main(self) -> bool:
        """Whether this process reads first."""

    def share(self, content: Content) -> Content:
        """What the first process gave, on all."""


def save_state(
    folder: Path,
    network: YOLOv2,
    *,
    step: int,
    keep: int,
    class_names: tuple[str, ...],
    image_size: int,
    training: Mapping[str, Any],
) -> None:
    """Write the state after ``step`` and make it ``last.pt``; ``keep`` earlier ones stay."""
    path = folder / _step_file(step)
    save_checkpoint(
        path, network, class_names=class_names, image_size=image_size, training=training
    )
    link = folder / f".{LAST}.{os.getpid()}"
    link.unlink(missing_ok=True)
    os.link(path, link)
    link.replace(folder / LAST)
    newest = [each for each in _by_step(folder) if each.name <= path.name]
    for old in set(_by_step(folder)) - set(newest[: keep + 1]):
        old.unlink()


def state_to_resume(
    folder: Path,
    fingerprint: str,
    processes: Sharing,
    *,
    resume: bool,
    before: int | None = None,
) -> tuple[Path | None, dict[str, Any], list[str]]:
    """``newest_state`` as rank 0 finds it, on every process.

    Raises:
        ValueError: there is a training, and ``resume`` is false or its fingerprint another.
    """
    path, state, problems = newest_state(folder, before) if processes.is_main else (None, {}, [])
    path = processes.share(path)
    if path is None:
        return None, {}, []
    require(
        resume,
        f"{folder} already holds a training: go on with it (--resume) or name another folder",
    )
    if not processes.is_main:
        state = read_checkpoint(path)
    require(
        (state["training"] or {}).get("fingerprint") == fingerprint,
        f"cannot resume {folder}: it was trained with other data, settings or code; start anew in"
        " another folder",
    )
    return path, state, problems


def newest_state(
    folder: Path, before: int | None = None
) -> tuple[Path | None, dict[str, Any], list[str]]:
    """The newest whole checkpoint, its content, and what was wrong with newer ones.

    Without any checkpoint the path is ``None``. If the newest is that of the step ``before``,
    which has led to no good, it is the one before that, if there is one.

    Raises:
        ValueError: there are checkpoints, and all of them are damaged.
    """
    candidates = [folder / LAST, *_by_step(folder)] if (folder / LAST).exists() else []
    numbered = _by_step(folder)
    if before is not None and len(numbered) > 1 and numbered[0].name == _step_file(before):
        candidates = numbered[1:]
    problems: list[str] = []
    for path in candidates:
        try:
            return path, read_checkpoint(path), problems
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ValueError(
            f"no checkpoint in {folder} can be read: {'; '.join(problems)}. Delete the folder to"
            " train anew"
        )
    return None, {}, []


def _step_file(step: int) -> str:
    return f"step-{step:08d}.pt"


def _by_step(folder: Path) -> list[Path]:
    """The numbered checkpoints, newest first."""
    return sorted(folder.glob(STEP_FILES), reverse=True)
