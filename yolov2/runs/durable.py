"""A training that survives: checkpoints, tables, rollback, and going on from the newest."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from yolov2.config.section import require
from yolov2.config.train import without_effect
from yolov2.data.table import digest
from yolov2.files import write_json
from yolov2.network.checkpoint import save_checkpoint
from yolov2.runs.assembly import build_training
from yolov2.runs.folder import BEST, ENVIRONMENT, PARAMETERS
from yolov2.runs.identity import environment, write_hashes
from yolov2.runs.inputs import TrainingInputs
from yolov2.runs.records import Records
from yolov2.runs.saved_states import save_state, state_to_resume
from yolov2.termination import undisturbed
from yolov2.training.nonfinite import NonFiniteLossError
from yolov2.training.progress import Progress
from yolov2.training.random_state import random_state, restore_random_state
from yolov2.training.reports import EpochReport, Event, Notice, Saved, StepReport
from yolov2.training.world import World


class DurableTraining:
    """A training with its run folder.

    Args:
        inputs: data and settings.
        folder: the run folder; only rank 0 of ``world`` writes to it.
        world: the processes that train together.
        fingerprint: of the inputs; a checkpoint with another one is not gone on from.
        about: plain values that go into every checkpoint.
    """

    def __init__(
        self,
        inputs: TrainingInputs,
        folder: Path,
        world: World,
        fingerprint: str,
        about: Mapping[str, Any],
    ) -> None:
        self.inputs, self.folder, self.world = inputs, folder, world
        self.rules = inputs.machine.checkpoint
        self.fingerprint, self.about = fingerprint, dict(about)
        self.records = Records()
        self.saved_at, self.saved_as, self.writable = time.monotonic(), (-1, -1), True
        self.tried: int | None = None  # the checkpoint that the last rollback went back to

    def complete(
        self, device: torch.device, progress: Progress, *, resume: bool
    ) -> Iterator[Event]:
        """Train to the end, from the beginning or from the newest whole checkpoint."""
        path, state, problems = self._newest(resume=resume)
        at = None if path is None else state["training"]["at"]
        self.training = build_training(self.inputs, device, self.world, at)
        self.training.record = self._record
        for text in self._first_words() if path is None else ():
            yield Notice(text=text, step=0)
        for problem in problems:
            yield Notice(text=f"{problem}: going on from {path}", step=0)
        if path is not None:
            self._restore(state)
        if self.world.is_main:
            write_json(self.folder / PARAMETERS, self.inputs.parameters())
            format_ = self.training.optimiser.precision.format
            about = environment(device, format_)
            write_json(self.folder / ENVIRONMENT, about)
            self.records.write(self.folder)
        if path is not None:
            yield Saved(step=self.training.at.step)
        elif self.inputs.train.failure.on_nan == "rollback" and self.world.is_main:
            yield self._save()  # something to go back to
        yield from self._events(progress)
        if self.world.is_main:
            write_hashes(self.folder, self.fingerprint, digest(self.inputs.tables))

    def _first_words(self) -> list[str]:
        images = len(self.training.dataset)
        return without_effect(self.inputs.train, images=images, processes=self.world.size)

    def _restore(self, state: Mapping[str, Any]) -> None:
        told = state["training"]
        self.training.restore(told, state["model"])
        self.records = Records(told["records"])
        if self.world.size == 1:
            restore_random_state(told["random"])
        self.saved_as = self._mark()

    def _newest(self, *, resume: bool) -> tuple[Path | None, dict[str, Any], list[str]]:
        place = self.folder, self.fingerprint, self.world
        return state_to_resume(*place, resume=resume, before=self.tried)

    def _mark(self) -> tuple[int, int]:
        return self.training.at.step, self.training.at.epoch

    def _events(self, progress: Progress) -> Iterator[Event]:
        """The training's events; after a loss that is not finite it goes back, if it may."""
        while True:
            try:
                yield from self._until_failure(progress)
                return
            except NonFiniteLossError as error:
                text = self._roll_back(error)
            yield Notice(text=text, step=self.training.at.step)

    def _until_failure(self, progress: Progress) -> Iterator[Event]:
        try:
            for event in self.training.events(progress):
                yield event
                if self.world.is_main and self._is_due(event):
                    yield self._save()
        except NonFiniteLossError:
            raise  # the newest checkpoint is better than what led here
        except BaseException as error:
            self._save_what_is_done(error)
            raise

    def _record(self, report: StepReport | EpochReport) -> None:
        self.records.add(report)
        if isinstance(report, EpochReport) and report.is_best and self.world.is_main:
            # before the checkpoint: a kill between them repeats the step and writes it again
            with self._writing():
                save_checkpoint(self.folder / BEST, **self._model())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """After a file that could not be written no other one is tried."""
        try:
            yield
        except OSError:
            self.writable = False
            raise

    def _is_due(self, event: Event) -> bool:
        if isinstance(event, EpochReport):
            is_last = event.epoch == event.epochs or self.training.at.stopped
            return event.is_best or is_last or self._late()
        every = self.rules.every_steps
        on_step = isinstance(event, StepReport) and every > 0 and event.step % every == 0
        return on_step or self._late()

    def _late(self) -> bool:
        return time.monotonic() - self.saved_at >= 60 * self.rules.every_minutes

    def _save(self) -> Saved:
        """Make what is learnt durable: checkpoint first, then the tables made from it."""
        step, _ = mark = self._mark()
        with undisturbed(), self._writing():
            save_state(
                self.folder,
                **self._model(),
                step=step,
                keep=self.rules.keep,
                training={
                    **self.training.state(),
                    "fingerprint": self.fingerprint,
                    "about": self.about,
                    "records": self.records.rows,
                    "random": random_state(),
                },
            )
            self.records.write(self.folder)
        self.saved_at, self.saved_as = time.monotonic(), mark
        return Saved(step=step)

    def _save_what_is_done(self, error: BaseException) -> None:
        """A checkpoint of the last whole step, whatever ended the training after it."""
        training = self.training
        if not (self.world.is_main and self.writable and training.optimiser.whole):
            return
        training.optimiser.rewind()
        if self._mark() == self.saved_as:
            return
        try:
            self._save()
        except Exception as second:
            error.add_note(f"and no checkpoint could be written: {second}")

    def _roll_back(self, error: NonFiniteLossError) -> str:
        """Back to the newest checkpoint with a lower learning rate; what to tell."""
        rules, old = self.inputs.train.failure, self.training.at
        if rules.on_nan == "stop":
            raise error
        if old.rollbacks == rules.rollbacks:
            raise ValueError(f"{error} (rolled back {old.rollbacks} times, which did not help)")
        path, state, _ = self._newest(resume=True)
        require(path is not None, f"{error} (and there is no checkpoint yet to go back to)")
        self._restore(state)
        at = self.training.at
        at.rollbacks, at.lr_factor = old.rollbacks + 1, old.lr_factor * rules.rollback_lr
        self.tried = at.step
        self.world.gather(None)  # all have read it before it is replaced
        if self.world.is_main:
            self._save()
        return f"{error} {at.rolled_back(rules.rollbacks)}"

    def _model(self) -> dict[str, Any]:
        return {
            "network": self.training.optimiser.evaluated,
            "class_names": self.inputs.tables.class_names,
            "image_size": self.inputs.model.image_size,
        }
