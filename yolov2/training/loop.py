"""The training loop: a generator of reports, exact to the optimiser step."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from torch import Tensor

from yolov2.config.machine import MachineConfig
from yolov2.config.train import TrainConfig
from yolov2.data.batches.dataset import Batch, DetectionDataset
from yolov2.data.batches.loader import Tell, load_batches
from yolov2.data.batches.plan import Step, micro_batches, training_plan
from yolov2.network.device import TooLittleMemoryError, is_out_of_memory
from yolov2.network.yolov2 import YOLOv2
from yolov2.termination import undisturbed
from yolov2.training.memory import explain
from yolov2.training.optimise import About, Optimiser
from yolov2.training.position import Position
from yolov2.training.progress import Progress, silent
from yolov2.training.reports import EpochReport, Notice, StepReport
from yolov2.training.schedule import learning_rate
from yolov2.training.throughput import Meter

Score = Callable[[YOLOv2, Tell], Mapping[str, float]]
"""Metrics of a network on the validation split (with ``AP``); what people should know is told."""


class Training:
    """A training in progress.

    Args:
        optimiser: the network and what moves it.
        dataset: the training images.
        config: the recipe.
        machine: how images are read, and how often losses are told.
        at: where to begin.
        meter: measures the speed.
        score: how the network is validated, ``None`` where there is no validation split.

    ``record`` is called with each report of a step or an epoch as its state changes: no signal
    comes between the two, as it may before the report is yielded.
    """

    def __init__(
        self,
        optimiser: Optimiser,
        dataset: DetectionDataset,
        config: TrainConfig,
        machine: MachineConfig,
        at: Position,
        meter: Meter,
        score: Score | None = None,
    ) -> None:
        self.optimiser, self.dataset, self.config, self.at = optimiser, dataset, config, at
        self.machine = machine
        self.meter, self.score = meter, score
        self.world = optimiser.world
        self.names = dict(zip(dataset.image_ids, dataset.paths, strict=True))
        size, side = len(dataset), dataset.image_size
        self.plan = training_plan(size, at.nominal_batch, side, config)
        self.record: Callable[[StepReport | EpochReport], None] = lambda report: None
        self.report = StepReport(step=at.step, row=None)
        self._batches: Iterator[Batch] | None = None
        self._notices: list[str] = []
        self._noticed: set[str] = set()

    def state(self) -> dict[str, Any]:
        """What ``restore`` needs, beside the weights of the evaluated network."""
        return {"at": asdict(self.at), **self.optimiser.state()}

    def restore(self, state: Mapping[str, Any], model: Mapping[str, Tensor]) -> None:
        """Go on after the step at which ``state`` was taken."""
        self.at = Position(**state["at"])
        # steps of as many images as before, whatever this machine would choose
        self.plan = replace(self.plan, nominal_batch=self.at.nominal_batch)
        self.optimiser.restore(state, model)
        self._batches = None

    def events(self, progress: Progress = silent) -> Iterator[StepReport | EpochReport | Notice]:
        """Train what is left: a report after each step and each epoch, and notices.

        The state is whole at every one of them, and after ``optimiser.rewind`` also when an
        exception ends the generator in the middle of a step.

        Raises:
            NonFiniteLossError: loss or gradient of a step is not finite.
            TooLittleMemoryError: a batch does not fit into memory.
            ImageError: an image cannot be read.
        """
        while self.at.epoch < self.config.epochs and not self.at.stopped:
            started = self.meter.restart()
            epoch, position = self.at.epoch, self.at.position
            left, total = self.plan.epoch(epoch, position), self.plan.steps_left(position)
            name = f"epoch {epoch + 1}/{self.config.epochs}"
            for step in progress(left, desc=name, total=total):
                yield from self._step(step)
            yield from self._close_epoch(started)

    def _step(self, step: Step) -> Iterator[StepReport | Notice]:
        """One optimiser step, again after a failure that can be helped."""
        while True:
            try:
                self._optimise(step)
                break
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                text = self._out_of_memory(step)
            self.optimiser.rewind()
            self._batches = None
            yield Notice(text=text, step=self.at.step)
        yield self.report
        yield from self._told()

    def _tell(self, text: str) -> None:
        if text not in self._noticed:  # each validation says so again
            self._noticed.add(text)
            self._notices.append(text)

    def _told(self) -> Iterator[Notice]:
        while self._notices:
            yield Notice(text=self._notices.pop(0), step=self.at.step)

    def _optimise(self, step: Step) -> None:
        at = self.at
        if self._batches is None:
            self._batches = self.meter.timed(self._load())
        parts = micro_batches(step, at.batch_size, rank=self.world.rank, world=self.world.size)
        lr = at.lr_factor * learning_rate(self.config, step.index, self.plan.steps_per_epoch)

        def done(sums: list[float]) -> None:
            at.advance(len(step.draws), sums)
            is_logged = at.step % self.machine.log_every == 0
            row = at.log_row(lr, self.plan.steps_per_epoch) if is_logged else None
            self.report = StepReport(step=at.step, row=row)
            self.record(self.report)

        self.optimiser.step(
            zip(parts, self._batches, strict=False),
            len(step.draws),
            lr=lr,
            done=done,
            about=About(epoch=step.epoch + 1, step=step.index + 1, names=self.names),
        )
        self.meter.count(len(step.draws), step.draws[0].side)

    def _load(self) -> Iterator[Batch]:
        """The batches of all that is left of the training, so that workers never run dry."""
        at, world = self.at, self.world
        draws = (
            micro.draws
            for step in self.plan.steps(at.epoch, at.position)
            for micro in micro_batches(step, at.batch_size, rank=world.rank, world=world.size)
        )
        return load_batches(
            self.dataset,
            draws,
            num_workers=self.machine.num_workers,
            pin_memory=self.optimiser.device.type == "cuda",
            largest=at.batch_size * max(self.plan.sides) ** 2,
            tell=self._tell,
        )

    def _out_of_memory(self, step: Step) -> str:
        """Halve the batch, if that is wanted and possible; what to tell."""
        before, side = self.at.batch_size, step.draws[0].side
        advice = explain(self.optimiser.device, before, side)
        if self.config.failure.on_oom == "stop" or before == 1:
            raise TooLittleMemoryError(advice) from None
        self.at.batch_size = before // 2
        return f"{advice}. Halved: {before // 2} images at a time from step {step.index + 1} on"

    def _close_epoch(self, started: float) -> Iterator[EpochReport | Notice]:
        at, config = self.at, self.config
        throughput = self.meter.read(self.world.size)
        validation = self._validate()
        score = None if validation is None else validation["AP"]
        with undisturbed():
            losses, collisions, is_best = at.close_epoch(score)
            stale = at.epoch - at.best_epoch
            at.stopped = score is not None and 0 < config.patience <= stale
            report = EpochReport(
                epoch=at.epoch,
                epochs=config.epochs,
                step=at.step,
                lr=self.optimiser.optimizer.param_groups[0]["lr"],
                losses=losses,
                throughput=throughput,
                seconds=time.perf_counter() - started,
                collisions=collisions,
                validation=validation,
                is_best=is_best or self.score is None,
            )
            self.record(report)
        yield report
        yield from self._told()
        if at.stopped and at.epoch < config.epochs:
            text = f"early stopping: no better AP than {at.best:.4f} for {stale} epochs"
            yield Notice(text=text, step=at.step)

    def _validate(self) -> Mapping[str, float] | None:
        epoch = self.at.epoch + 1
        due = epoch % self.config.validate_every == 0 or epoch == self.config.epochs
        if self.score is None or not due:
            return None
        network = self.optimiser.evaluated
        self.world.share_buffers(network)
        network.eval()
        return self.score(network, self._tell)
