"""The presets of ``params.yaml``: ``own`` for own data, ``full`` as published, ``demo``.

The full recipe is what the sections' own defaults say. ``own`` is what was measured to learn
most from a few hundred images and random weights (benchmarks/README.md, the table of blood cells,
with the sizes of that measurement; ``own.choose`` takes those of another data set). The demo
changes what it must to learn ten digits on two CPU cores in minutes.
"""

from dataclasses import asdict
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from pipeline.params.promotion import PromoteConfig
from pipeline.params.schema import Params
from yolov2.config.augment import AugmentConfig
from yolov2.config.data import DataConfig
from yolov2.config.machine import CheckpointConfig, MachineConfig
from yolov2.config.model import ModelConfig
from yolov2.config.train import LossConfig, MultiScaleConfig, TrainConfig

FULL = Params()
OWN = Params(
    model=ModelConfig(image_size=416, width=0.25),
    train=TrainConfig(
        epochs=80,
        batch_size=8,
        optimizer="adamw",
        lr=0.002,
        weight_decay=0.01,
        lr_schedule="cosine",
        warmup_epochs=2.0,
        ema_decay=0.99,
        validate_every=10,
        multi_scale=MultiScaleConfig(every=0),
        augment=AugmentConfig(jitter=0.2, scale=(0.8, 1.4), mosaic=0.3),
    ),
)
DEMO = Params(
    data=DataConfig(config="data/digits/digits.yaml"),
    model=ModelConfig(image_size=128, width=0.25),
    train=TrainConfig(
        epochs=12,
        batch_size=16,
        optimizer="adamw",
        lr=0.003,
        weight_decay=0.01,
        lr_schedule="linear",
        warmup_epochs=1.0,
        clip_norm=20.0,
        validate_every=4,
        # ten classes from few steps: what a digit is takes longest to learn
        loss=LossConfig(lambda_class=5.0),
        multi_scale=MultiScaleConfig(every=0),
        # a mirrored or narrowed digit is another one, and a coloured one costs time
        augment=AugmentConfig(
            hue=0.0,
            saturation=1.0,
            exposure=1.0,
            brightness=0.2,
            contrast=0.2,
            flip=0.0,
            jitter=0.0,
            translate=0.0,
        ),
    ),
    machine=MachineConfig(
        num_workers=0,
        cache="ram",
        log_every=20,
        checkpoint=CheckpointConfig(every_minutes=0.5),
    ),
    promote=PromoteConfig(min_ap=0.3, min_ap50=0.6),
)

HEADER = {
    "demo": """\
# Every number that a person may want to change, a section per concern (docs/parameters.md).
# This is the small preset `demo`: the embedded digits on two CPU cores, in minutes.
# For an own data set: pipeline params use own --data path/to/data.yaml
""",
    "own": """\
# Every number that a person may want to change, a section per concern (docs/parameters.md).
# This is the preset `own`: a recipe for own data and random weights, its sizes and epochs chosen
# for these images and this machine by `pipeline params use own`.
# Back to the small demonstration: pipeline params use demo
""",
    "full": """\
# Every number that a person may want to change, a section per concern (docs/parameters.md).
# This is the preset `full`: the published recipe, for an own data set, best on a GPU.
# Back to the small demonstration: pipeline params use demo
""",
}


def render(name: str, params: Params) -> str:
    """``params`` as the text of a ``params.yaml`` with the header of preset ``name``."""
    yaml = YAML()
    yaml.width = 4096  # a long list stays in its line
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = StringIO()
    yaml.dump(_plain(asdict(params)), stream)
    return HEADER[name] + stream.getvalue()


def _plain(value: Any) -> Any:
    """Dictionaries as they are, sequences in one line as ``[a, b]``."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        sequence = CommentedSeq(_plain(item) for item in value)
        sequence.fa.set_flow_style()
        return sequence
    return value
