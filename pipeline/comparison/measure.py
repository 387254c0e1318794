"""What is compared: the data of the work space, and candidates measured on it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from pipeline.labels import read_labels
from pipeline.params.schema import Params
from pipeline.registry.references import Candidate
from yolov2.config.evaluate import EvaluateConfig
from yolov2.data.table import LabelTables, digest
from yolov2.detection.detections import Detections, GroundTruth, ground_truth
from yolov2.evaluation.matches import Matches
from yolov2.export.proof import median_latency_ms
from yolov2.runtime.graphs import Images, Predictions
from yolov2.runtime.model_file import open_model

Split = Literal["train", "val", "test"]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The data that everything is measured on: a split of the work space, and its digest.

    ``truth`` has the objects by image id; image paths of the tables start at ``root``; ``device``
    (auto, cpu, cuda:1) is where checkpoints are run.
    """

    params: Params
    tables: LabelTables
    root: Path
    evaluate: EvaluateConfig
    digest: str
    truth: Mapping[int, GroundTruth]
    device: str

    @property
    def split(self) -> str:
        """The split that is measured."""
        return self.evaluate.split


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Size of a model file, its weights, and milliseconds for one image on this machine.

    ``device`` is a name of torch's: cpu, cuda, cuda:1.
    """

    bytes: int
    image_size: int
    latency_ms: float
    device: str
    threads: int


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A candidate, its detections by image id, their matches.

    ``evaluated_anew`` tells detections of today from those that an evaluation left; ``speed`` is
    None if it was not asked for or the candidate's file is not at hand.
    """

    candidate: Candidate
    detections: Mapping[int, Detections]
    matches: Matches
    evaluated_anew: bool
    speed: Speed | None


def bench_of(params: Params, split: Split | None = None, device: str | None = None) -> Bench:
    """The data of the work space, of which ``split`` is measured on ``device``.

    They default to ``evaluate.split`` and ``machine.device``.

    Raises:
        ValueError: the stage validate has not run, or the split has no images.
    """
    labels = read_labels(params.data)
    tables = labels.tables
    evaluate = replace(params.evaluate, split=split or params.evaluate.split)
    labels.check_split(evaluate.split)
    return Bench(
        params=params,
        tables=tables,
        root=labels.root,
        evaluate=evaluate,
        digest=digest(tables)[evaluate.split],
        truth=ground_truth(tables, evaluate.split),
        device=device or params.machine.device,
    )


def measure_speed(weights: Path, device: str = "cpu") -> Speed:
    """Run a model file on one grey image; a graph always on the CPU."""
    model = open_model(weights, device)
    side = model.manifest.image_size

    def run(images: Images) -> Predictions:
        with torch.inference_mode():
            return model.predict(torch.from_numpy(images).to(model.device)).cpu().numpy()

    grey = np.full((1, 3, side, side), 0.5, dtype=np.float32)
    return Speed(
        bytes=weights.stat().st_size,
        image_size=side,
        latency_ms=median_latency_ms(run, grey),
        device=str(model.device),
        threads=torch.get_num_threads(),
    )
