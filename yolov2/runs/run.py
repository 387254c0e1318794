"""What the command line and the pipeline both do: train a detector into a run folder."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from yolov2.network.device import resolve_device, use_threads
from yolov2.runs.durable import DurableTraining
from yolov2.runs.folder import HASHES, locked
from yolov2.runs.inputs import TrainingInputs
from yolov2.training.progress import Progress, silent
from yolov2.training.reports import Event
from yolov2.training.world import joined


def train_run(
    inputs: TrainingInputs,
    folder: Path,
    *,
    code: str = "",
    resume: bool = False,
    progress: Progress = silent,
    about: Mapping[str, Any] | None = None,
) -> Iterator[Event]:
    """Train into ``folder``; what happens, as it happens.

    With ``resume`` an unfinished training in ``folder`` goes on after its newest whole
    checkpoint; it must be one of the same data, settings and code. ``best.pt``, ``last.pt``,
    ``history.csv`` (a row an epoch), ``steps.csv`` and ``speed.csv`` are written together, and
    then a ``Saved`` says so; ``hashes.json`` comes last and says that all is complete.
    ``about`` are plain values that go into every checkpoint.

    Under ``torchrun`` every process calls this; only rank 0 writes, and tells anything.

    Raises:
        ValueError: the folder already holds a training (without ``resume``), or one that was
            started with other data, settings or code, or another process is writing to it.
        NonFiniteLossError, TooLittleMemoryError, ImageError: see ``Training.events``.
        OSError: a file cannot be written.
    """
    device = resolve_device(inputs.machine.device)
    use_threads(inputs.machine.threads)
    with joined(device) as world:
        run = DurableTraining(inputs, folder, world, inputs.fingerprint(code), about or {})
        if world.is_main:
            with locked(folder):
                yield from run.complete(world.device(device), progress, resume=resume)
        else:
            for _ in run.complete(world.device(device), silent, resume=resume):
                pass


def finished(folder: Path, fingerprint: str) -> bool:
    """Whether ``folder`` holds a training of this fingerprint that ran to its end."""
    if not (folder / HASHES).is_file():
        return False
    hashes = json.loads((folder / HASHES).read_text(encoding="utf-8"))
    return bool(hashes.get("fingerprint") == fingerprint)
