"""``params.yaml`` as dataclasses, a section per stage, every key and value checked."""

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.params.digits import DigitsConfig
from pipeline.params.flows import FlowsConfig, ScheduleConfig
from pipeline.params.promotion import PromoteConfig
from pipeline.params.reading import checked, read_document
from pipeline.params.tracking import TrackingConfig
from pipeline.paths import PARAMS
from yolov2.config.data import AnchorsConfig, DataConfig, ValidateConfig
from yolov2.config.evaluate import EvaluateConfig
from yolov2.config.export import ExportConfig
from yolov2.config.machine import MachineConfig
from yolov2.config.model import ModelConfig
from yolov2.config.section import Section
from yolov2.config.train import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Params(Section):
    """The whole of ``params.yaml``, a section per stage."""

    data: DataConfig = field(default_factory=DataConfig)
    digits: DigitsConfig = field(default_factory=DigitsConfig)
    validate: ValidateConfig = field(default_factory=ValidateConfig)
    anchors: AnchorsConfig = field(default_factory=AnchorsConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    machine: MachineConfig = field(default_factory=MachineConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    promote: PromoteConfig = field(default_factory=PromoteConfig)
    flows: FlowsConfig = field(default_factory=FlowsConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)


def load(path: Path = PARAMS) -> Params:
    """Read ``path``; every key and value checked.

    Raises:
        ValueError: naming file, line, key and value of the first thing that is wrong.
    """
    document = read_document(path)
    return checked(document, Params, document, path, [])
