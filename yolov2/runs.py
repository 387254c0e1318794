"""What the command line and the pipeline both do: train a detector into a run folder."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from yolov2 import run_folder
from yolov2.config import EvaluateConfig, ModelConfig
from yolov2.data.dataset import DetectionDataset, evaluation_loader
from yolov2.data.table import LabelTables, digest
from yolov2.detection.detections import ground_truth
from yolov2.detection.score import score_split
from yolov2.network.checkpoint import load_detector, read_checkpoint, save_checkpoint
from yolov2.network.device import resolve_device
from yolov2.network.yolov2 import YOLOv2
from yolov2.run_folder import BEST, ENVIRONMENT, HASHES, HISTORY, LAST, PARAMETERS
from yolov2.section import require
from yolov2.train_config import TrainConfig
from yolov2.training.loop import EpochReport, Progress, Training, silent


@dataclass(frozen=True, kw_only=True)
class TrainingInputs:
    """All that a training depends on: data, anchors (widths, heights in cells), settings."""

    tables: LabelTables
    root: Path
    anchors: tuple[tuple[float, float], ...]
    model: ModelConfig
    train: TrainConfig

    def parameters(self) -> dict[str, Any]:
        """The settings as nested plain values."""
        return {
            "model": asdict(self.model),
            "train": asdict(self.train),
            "anchors": [list(anchor) for anchor in self.anchors],
        }

    def fingerprint(self, code: str = "") -> str:
        """sha256 of what decides the weights; ``code`` stands for the program's version.

        Where it runs (device, loader workers) is left out: it may change between a training
        and its continuation.
        """
        settings = self.parameters()
        for name in ("device", "num_workers"):
            del settings["train"][name]
        content = [settings, list(self.tables.class_names), digest(self.tables), code]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def finished(folder: Path, fingerprint: str) -> bool:
    """Whether ``folder`` holds a training of this fingerprint that ran to its end."""
    if not (folder / HASHES).is_file():
        return False
    hashes = json.loads((folder / HASHES).read_text(encoding="utf-8"))
    return bool(hashes.get("fingerprint") == fingerprint)


def train_run(
    inputs: TrainingInputs,
    folder: Path,
    *,
    code: str = "",
    resume: bool = False,
    progress: Progress = silent,
) -> Iterator[EpochReport]:
    """Train into ``folder``, a report after each epoch, whose checkpoint is then on disk.

    With ``resume`` an unfinished training in ``folder`` goes on after its newest checkpoint; it
    must be one of the same data, settings and code. ``best.pt``, ``last.pt``, ``history.csv``
    grow as it runs; ``hashes.json`` comes last and says that it is complete.

    Raises:
        ValueError: the folder already holds a training (without ``resume``), or one that was
            started with other data, settings or code, or another process is writing to it.
        NonFiniteLossError: see ``Training.epochs``.
    """
    fingerprint = inputs.fingerprint(code)
    device = resolve_device(inputs.train.device)
    with run_folder.locked(folder):
        state = _state_to_resume(folder, fingerprint, resume=resume)
        with torch.random.fork_rng():
            torch.manual_seed(inputs.train.seed)
            network = YOLOv2(len(inputs.tables.class_names), inputs.anchors, inputs.model.width)
        if state is not None:
            network.load_state_dict(state["model"])
        training = _training(inputs, network, device)
        history: list[Mapping[str, Any]] = []
        if state is not None:
            training.restore(state["training"])
            history = list(state["training"]["history"])
        run_folder.write_json(folder / PARAMETERS, inputs.parameters())
        run_folder.write_json(folder / ENVIRONMENT, run_folder.environment(device))
        for report in training.epochs(progress):
            history.append(history_row(report))
            _save(folder, inputs, training, report, history, fingerprint)
            yield report
        best = load_detector(folder / BEST)
        hashes = {
            "fingerprint": fingerprint,
            "weights": run_folder.weights_hash(best.network),
            "data": digest(inputs.tables),
        }
        run_folder.write_json(folder / HASHES, hashes)


def _state_to_resume(folder: Path, fingerprint: str, *, resume: bool) -> dict[str, Any] | None:
    if not (folder / LAST).exists():
        return None
    require(
        resume,
        f"{folder} already holds a training: go on with it (--resume) or name another folder",
    )
    state = read_checkpoint(folder / LAST)
    require(
        state["training"]["fingerprint"] == fingerprint,
        f"cannot resume {folder}: it was trained with other data, settings or code; start anew in"
        " another folder",
    )
    return state


def _training(inputs: TrainingInputs, network: YOLOv2, device: torch.device) -> Training:
    config = inputs.train
    size = inputs.model.image_size
    dataset = DetectionDataset(
        inputs.tables, inputs.root, "train", size, augment=config.augment, seed=config.seed
    )
    return Training(network, dataset, config, device=device, score=_validation(inputs, device))


def _validation(
    inputs: TrainingInputs, device: torch.device
) -> Callable[[YOLOv2], Mapping[str, float]] | None:
    """How the network is scored while it trains; ``None`` where the data has no val split."""
    if not (inputs.tables.images["split"] == "val").any():
        return None
    ground_truth(inputs.tables, "val")  # a val split without a box fails now, not an epoch later
    # the reporting thresholds, whatever `evaluate` says: changing those must not retrain
    config = EvaluateConfig(split="val")
    dataset = DetectionDataset(inputs.tables, inputs.root, "val", inputs.model.image_size)
    loader = evaluation_loader(
        dataset, batch_size=config.batch_size, num_workers=inputs.train.num_workers
    )
    return lambda network: score_split(network, loader, inputs.tables, "val", config, device)


def _save(
    folder: Path,
    inputs: TrainingInputs,
    training: Training,
    report: EpochReport,
    history: list[Mapping[str, Any]],
    fingerprint: str,
) -> None:
    """Best first, then last: a kill between them repeats the epoch and writes best again."""
    about: dict[str, Any] = {
        "class_names": inputs.tables.class_names,
        "image_size": inputs.model.image_size,
    }
    if report.is_best:
        save_checkpoint(folder / BEST, training.network, **about)
    state = training.state() | {"history": history, "fingerprint": fingerprint}
    save_checkpoint(folder / LAST, training.network, **about, training=state)
    run_folder.write_history(folder / HISTORY, history)


def history_row(report: EpochReport) -> dict[str, Any]:
    """The figures of an epoch that are the same on every run of it: no times, no speeds."""
    return {
        "epoch": report.epoch,
        "step": report.step,
        "lr": report.lr,
        **report.losses,
        "collisions": report.collisions,
        **(report.validation or {}),
    }
