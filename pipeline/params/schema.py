"""``params.yaml`` as dataclasses, a section per stage, every key and value checked."""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from pipeline.params.flows import FlowsConfig, ScheduleConfig
from pipeline.params.promotion import PromoteConfig
from pipeline.paths import PARAMS
from yolov2.config.data import AnchorsConfig, DataConfig, ValidateConfig
from yolov2.config.evaluate import EvaluateConfig
from yolov2.config.export import ExportConfig
from yolov2.config.model import ModelConfig
from yolov2.config.section import Section, require, require_between
from yolov2.config.train import TrainConfig
from yolov2.yaml_aliases import cut, refuse_bombs

NAME_BYTES = 180
"""Most bytes of a name in MLflow: folders of 255 have it with numbers and words behind it."""


@dataclass(frozen=True, kw_only=True)
class TrackingConfig(Section):
    """Names under which MLflow files runs and models."""

    experiment: str = "yolov2"
    model_name: str = "yolov2"

    def __post_init__(self) -> None:
        for name in ("experiment", "model_name"):
            _require_name(name, self.__dict__[name])


def _require_name(key: str, value: str) -> None:
    """Raise ``ValueError`` for a name that not every place takes in which it is written."""
    # letters, marks and numbers of any script
    known = [char in "_-.+ " or unicodedata.category(char)[0] in "LMN" for char in value]
    ends = value[:1] + value[-1:]
    require(
        bool(value) and all(known) and not set(ends) & set("-.+ "),
        f"{key} must be a name of letters and digits, between them also blanks and the signs _ - ."
        " +: it stands in filters, addresses (models:/NAME@champion), folders and -S KEY=VALUE;"
        f" not {value!r}",
    )
    size = len(value.encode())
    require(size <= NAME_BYTES, f"{key} must be {NAME_BYTES} bytes or less in UTF-8, not {size}")


@dataclass(frozen=True, kw_only=True)
class DigitsConfig(Section):
    """The embedded data set: how many scenes of which size, and what is in them."""

    seed: int = 0
    image_size: int = 128
    train_scenes: int = 3000
    val_scenes: int = 500
    test_scenes: int = 600
    min_objects: int = 1
    max_objects: int = 3
    min_size: int = 44
    max_size: int = 72
    rotation: float = 15.0
    background_share: float = 0.02

    def __post_init__(self) -> None:
        require_between("seed", self.seed, 0, 2**32 - 1)
        require_between("image_size", self.image_size, 32, 320)
        for name in ("train_scenes", "val_scenes", "test_scenes"):
            require_between(name, self.__dict__[name], 1, 99_999)
        require_between("min_objects", self.min_objects, 1, 100)
        require_between("max_objects", self.max_objects, self.min_objects, 100)
        require_between("min_size", self.min_size, 8, self.image_size)
        require_between("max_size", self.max_size, self.min_size, self.image_size)
        require_between("rotation", self.rotation, 0, 90)
        require_between("background_share", self.background_share, 0, 1)


@dataclass(frozen=True, kw_only=True)
class Params(Section):
    """The whole of ``params.yaml``, a section per stage."""

    data: DataConfig = field(default_factory=DataConfig)
    digits: DigitsConfig = field(default_factory=DigitsConfig)
    validate: ValidateConfig = field(default_factory=ValidateConfig)
    anchors: AnchorsConfig = field(default_factory=AnchorsConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    promote: PromoteConfig = field(default_factory=PromoteConfig)
    flows: FlowsConfig = field(default_factory=FlowsConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)


@cache
def _adapter() -> TypeAdapter[Params]:
    return TypeAdapter(Params)


def load(path: Path = PARAMS) -> Params:
    """Read ``path``; every key and value checked.

    Raises:
        ValueError: naming file, line, key and value of the first thing that is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(
            f"{path} not found: run from the repository's root, or write one with"
            " `pipeline params use demo`"
        ) from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a UTF-8 text file") from None
    try:
        refuse_bombs(YAML().compose(text), path)
        document = YAML().load(text)
    except YAMLError as error:
        problem = " ".join(str(error).split())
        raise ValueError(f"{path} cannot be read as YAML: {problem}") from None
    except RecursionError:
        raise ValueError(f"{path} cannot be read as YAML: it is nested too deeply") from None
    if not isinstance(document, Mapping):
        raise ValueError(f"{path} must hold sections (data:, train:, ...)")
    try:
        # JSON, because pydantic's strict mode takes lists for tuples only from JSON
        return _adapter().validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        raise ValueError(_explain(path, document, error)) from None


def _explain(path: Path, document: Any, error: ValidationError) -> str:
    """One line for the first mistake: file, line, key, value, what is wrong."""
    first = error.errors(include_url=False)[0]
    where = list(first["loc"])
    key = ".".join(str(part) for part in where)
    at = f"{path}:{_line(document, where)}"
    if first["type"] == "unexpected_keyword_argument":
        known = ", ".join(_known_keys(where[:-1]))
        return f"{at}: unknown key '{key}'; known here: {known}"
    reason = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error":
        return f"{at}: {key}: {reason}" if key else f"{at}: {reason}"
    value = cut(json.dumps(first["input"], default=str))
    return f"{at}: {key}: {reason}, not {value}"


def _line(document: Any, where: list[str | int]) -> int:
    """Line (1-based) of the value at ``where``, or of its nearest parent."""
    line = 1
    for part in where:
        if isinstance(document, CommentedMap) and part in document:
            line = document.lc.key(part)[0] + 1
        elif isinstance(document, CommentedSeq) and part in range(len(document)):
            line = document.lc.item(part)[0] + 1
        else:
            break
        document = document[part]
    return line


def _known_keys(where: list[str | int]) -> list[str]:
    section: Any = Params
    for part in where:
        factory = next(f.default_factory for f in fields(section) if f.name == part)
        section = factory
    return [f.name for f in fields(section)] if is_dataclass(section) else []
