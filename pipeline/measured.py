"""What is compared: the data of the work space, and candidates measured on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pipeline.candidates import Candidate
from pipeline.params.schema import Params
from yolov2.config import EvaluateConfig
from yolov2.data.table import LabelTables
from yolov2.detection.detections import Detections, GroundTruth
from yolov2.evaluation.matches import Matches
from yolov2.export.proof import median_latency_ms
from yolov2.runtime.graphs import Images, Predictions
from yolov2.runtime.model_file import open_model


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The data that everything is measured on: a split of the work space, and its digest.

    ``truth`` has the objects by image id; image paths of the tables start at ``root``.
    """

    params: Params
    tables: LabelTables
    root: Path
    evaluate: EvaluateConfig
    digest: str
    truth: Mapping[int, GroundTruth]

    @property
    def split(self) -> str:
        """The split that is measured."""
        return self.evaluate.split


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Size of a model file, and milliseconds for one image on this machine's CPU."""

    bytes: int
    image_size: int
    latency_ms: float
    threads: int


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A candidate, its detections by image id, their matches; ``speed`` if its file is at hand."""

    candidate: Candidate
    detections: Mapping[int, Detections]
    matches: Matches
    speed: Speed | None


def measure_speed(weights: Path) -> Speed:
    """Run a model file on one grey image, on the CPU."""
    model = open_model(weights, "cpu")
    side = model.manifest.image_size

    def run(images: Images) -> Predictions:
        with torch.inference_mode():
            return model.predict(torch.from_numpy(images)).numpy()

    grey = np.full((1, 3, side, side), 0.5, dtype=np.float32)
    return Speed(
        bytes=weights.stat().st_size,
        image_size=side,
        latency_ms=median_latency_ms(run, grey),
        threads=torch.get_num_threads(),
    )
