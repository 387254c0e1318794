"""All that a training depends on, and the fingerprint by which it is known again."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from yolov2.config.machine import MachineConfig
from yolov2.config.model import ModelConfig
from yolov2.config.train import TrainConfig
from yolov2.data.table import LabelTables, digest


@dataclass(frozen=True, kw_only=True)
class TrainingInputs:
    """All that a training depends on: data, anchors (widths, heights in cells), settings.

    ``machine`` decides nothing but where and how often; it may change before a training goes on.
    """

    tables: LabelTables
    root: Path
    anchors: tuple[tuple[float, float], ...]
    model: ModelConfig
    train: TrainConfig
    machine: MachineConfig

    def parameters(self) -> dict[str, Any]:
        """The settings as nested plain values."""
        return {
            "model": asdict(self.model),
            "train": asdict(self.train),
            "machine": asdict(self.machine),
            "anchors": [list(anchor) for anchor in self.anchors],
        }

    def fingerprint(self, code: str = "") -> str:
        """sha256 of what decides the weights; ``code`` stands for the program's version."""
        settings = self.parameters()
        del settings["machine"]
        content = [settings, list(self.tables.class_names), digest(self.tables), code]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
