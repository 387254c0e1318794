"""One trial of a sweep: the stages up to the training, in a working copy of its own, watched."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from prefect import State, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed, Failed

from flows.steps.commands import StageError, Workplace
from flows.steps.copies import own_copy
from flows.steps.stages import reproduce, stage_names
from flows.steps.tasks import PASSING
from flows.steps.work import workplace
from pipeline.checkpoints import RECORDING
from pipeline.params.flows import FlowsConfig
from pipeline.paths import HISTORY, TRAINING, project_root
from pipeline.running.processes import VARIABLE as INVOCATION
from pipeline.running.recorder import RUN, START, read, wait_until_sent
from pipeline.workspace.git import WorkTree

LAST_STAGE = "train"
CHECKPOINTS = Path("checkpoints")
STOPPED = "Stopped early"

Judge = Callable[[int, float], bool]
"""Told an epoch and its AP on the validation split; whether the trial is to go on."""


class HopelessError(Exception):
    """The training is worse than others were at this epoch."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a trial gave: the best AP on the validation split, and by what its training is known.

    ``run_id`` is its run in MLflow; empty where this machine does not know it, as of a training
    that DVC has restored.
    """

    ap: float
    key: str
    run_id: str
    stopped: bool = False


@dataclass(kw_only=True)
class Watch:
    """Reads a training's figures from its checkpoint folder whenever it says something."""

    root: Path
    invocation: str
    judge: Judge
    seen: int = 0
    best: float = field(default=0.0)
    folder: Path | None = None

    def look(self) -> None:
        """Pass on what is new.

        Raises:
            HopelessError: the judge says so.
        """
        self.folder = self.folder or self._find()
        if self.folder is None or not (self.folder / "history.csv").is_file():
            return
        for epoch, ap in validated(self.folder / "history.csv"):
            if epoch <= self.seen:
                continue
            self.seen, self.best = epoch, max(self.best, ap)
            if not self.judge(epoch, ap):
                raise HopelessError(f"epoch {epoch}: AP {ap:.3f}")

    def _find(self) -> Path | None:
        """The folder of the training that this trial's stages have begun."""
        for file in (self.root / CHECKPOINTS).glob(f"*/{RECORDING}/{START}"):
            if read(file.parent, START).get("identity", {}).get("invocation") == self.invocation:
                return file.parents[1]
        return None


def validated(history: Path) -> Iterator[tuple[int, float]]:
    """Epoch and AP of each epoch of a ``history.csv`` that was validated."""
    table = pd.read_csv(history)
    if "AP" in table:
        rows = table[["epoch", "AP"]].dropna()
        yield from zip(rows["epoch"].astype(int).tolist(), rows["AP"].tolist(), strict=True)


@task(name="trial", task_run_name="trial {number}: {label}", cache_policy=NO_CACHE)
def run_trial(
    number: int,
    label: str,
    settings: dict[str, str],
    tree: WorkTree,
    config: FlowsConfig,
    judge: Judge,
) -> State[Any]:
    """Train with ``settings`` and return an ``Answer``; *Stopped early* if the judge says so."""
    log = get_run_logger()
    try:
        with (
            own_copy(Path.cwd(), settings, tree) as (copy, environment),
            workplace(copy, config, environment) as place,
            _watched(project_root(), place, judge) as (watched, watch),
        ):
            try:
                for stage in _stages(copy):
                    log.info(f"stage '{stage}': {reproduce(watched, stage)}")
            except HopelessError as error:
                return Completed(name=STOPPED, message=str(error), data=_give_up(watch))
            answer = _answer(copy)
    except (StageError, ValueError) as error:
        passing = isinstance(error, StageError) and error.passing
        return Failed(name=PASSING if passing else "Failed", message=str(error))
    return Completed(message=f"val AP {answer.ap:.4f}", data=answer)


@contextmanager
def _watched(root: Path, place: Workplace, judge: Judge) -> Iterator[tuple[Workplace, Watch]]:
    """``place`` whose every line of output has the figures looked at."""
    watch = Watch(root=root, invocation=place.environment[INVOCATION], judge=judge)

    def emit(line: str) -> None:
        place.emit(line)
        watch.look()

    yield replace(place, emit=emit), watch


def _stages(root: Path) -> list[str]:
    names = stage_names(root)
    if LAST_STAGE not in names:
        raise ValueError(f"dvc.yaml has no stage {LAST_STAGE}: there is nothing to sweep over")
    return names[: names.index(LAST_STAGE) + 1]


def _answer(copy: Path) -> Answer:
    figures = [ap for _, ap in validated(copy / HISTORY)]
    if not figures:
        raise ValueError(
            "no epoch was validated, so trials cannot be compared: train.validate_every has to be"
            " at most train.epochs"
        )
    key = str(json.loads((copy / TRAINING).read_text(encoding="utf-8"))["key"])
    return Answer(ap=max(figures), key=key, run_id=_run_id(project_root() / CHECKPOINTS / key[:16]))


def _give_up(watch: Watch) -> Answer:
    """The answer so far; the checkpoints of a training that nobody will go on with are removed."""
    assert watch.folder is not None
    wait_until_sent(watch.folder / RECORDING)
    key = str(read(watch.folder / RECORDING, START)["key"])
    answer = Answer(ap=watch.best, key=key, run_id=_run_id(watch.folder), stopped=True)
    shutil.rmtree(watch.folder)
    return answer


def _run_id(folder: Path) -> str:
    """The MLflow run of the training in ``folder``; empty where it has none yet."""
    return str(read(folder / RECORDING, RUN).get("run_id", ""))
