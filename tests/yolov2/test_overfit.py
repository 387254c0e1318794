"""A network that cannot learn eight images by heart has a mistake somewhere."""

from pathlib import Path

import pandas as pd
import pytest

from yolov2.config.augment import NO_CHANGES
from yolov2.config.data import AnchorsConfig, ValidateConfig
from yolov2.config.machine import MachineConfig
from yolov2.config.model import ModelConfig
from yolov2.config.train import MultiScaleConfig, TrainConfig
from yolov2.data.anchors import choose_anchors
from yolov2.data.description import read_description
from yolov2.data.labels.checks import load_tables
from yolov2.data.table import LabelTables
from yolov2.runs.inputs import TrainingInputs
from yolov2.runs.run import train_run
from yolov2.training.reports import EpochReport

IMAGES = 8
SIDE = 416
"""At 416 pixels two of the 145 boxes have no slot of their own; at 320 six, which is the limit."""


def by_heart(tables: LabelTables) -> LabelTables:
    """The first training images, as training and as validation split."""
    ids = tables.images[tables.images["split"] == "train"]["image_id"].head(IMAGES)
    images = tables.images[tables.images["image_id"].isin(ids)]
    labels = tables.labels[tables.labels["image_id"].isin(ids)]
    again = {"split": "val"}
    return LabelTables(
        images=pd.concat([images, images.assign(**again, image_id=images["image_id"] + 10_000)]),
        labels=pd.concat([labels, labels.assign(**again, image_id=labels["image_id"] + 10_000)]),
        class_names=tables.class_names,
    )


@pytest.mark.slow
def test_eight_images_are_learnt_by_heart(bccd: Path, tmp_path: Path) -> None:
    description = read_description(bccd / "data.yaml")
    tables, _ = load_tables(description, ValidateConfig(zero_size="drop"))
    few = by_heart(tables)
    anchors = choose_anchors(few, AnchorsConfig(), SIDE).anchors
    inputs = TrainingInputs(
        tables=few,
        root=description.root,
        anchors=tuple((float(w), float(h)) for w, h in anchors),
        model=ModelConfig(image_size=SIDE, width=0.25),
        train=TrainConfig(
            epochs=150,
            batch_size=IMAGES,
            lr=0.01,
            lr_schedule="cosine",
            warmup_epochs=5.0,
            validate_every=150,
            multi_scale=MultiScaleConfig(every=0),
            augment=NO_CHANGES,
        ),
        machine=MachineConfig(num_workers=0, device="cpu"),
    )
    reports = [e for e in train_run(inputs, tmp_path / "run") if isinstance(e, EpochReport)]
    validation = reports[-1].validation
    assert validation is not None
    assert validation["AP50"] > 0.95
