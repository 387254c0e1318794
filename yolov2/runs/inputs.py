"""All that a training depends on, and the fingerprint by which it is known again."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from yolov2.config.model import ModelConfig
from yolov2.config.train import TrainConfig
from yolov2.data.table import LabelTables, digest

NOT_IN_FINGERPRINT = ("device", "devices", "num_workers", "cache", "checkpoint", "log_every")
"""Where a training runs and what it leaves on the way: may change before it goes on."""


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
        """sha256 of what decides the weights; ``code`` stands for the program's version."""
        settings = self.parameters()
        for name in NOT_IN_FINGERPRINT:
            del settings["train"][name]
        content = [settings, list(self.tables.class_names), digest(self.tables), code]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
