"""``python -m pipeline.tracking.preview FOLDER``: training images as the network sees them.

For people, before a day is lost to a wrong label. Runs in the folder of the stage ``train``, with
the settings that it began with.
"""

import sys
from pathlib import Path

from pipeline.checkpoints import PREVIEW
from pipeline.labels import read_labels
from pipeline.params.reading import read_plain
from pipeline.running.entry import run_stage
from pipeline.tracking.recordings import Recording
from yolov2.config.data import DataConfig
from yolov2.config.model import ModelConfig
from yolov2.config.train import TrainConfig
from yolov2.data.batches.dataset import DetectionDataset
from yolov2.data.batches.plan import first_draws
from yolov2.detection.contact_sheet import contact_sheet

IMAGES = 16


def main() -> None:
    """Draw the contact sheet of the training whose recording the command line names."""
    recording = Recording.open(Path(sys.argv[1]))
    folder, sections = recording.folder.parent, recording.about["parameters"]
    train = read_plain("train", TrainConfig, sections)
    labels = read_labels(read_plain("data", DataConfig, sections))
    side = read_plain("model", ModelConfig, sections).image_size
    dataset = DetectionDataset(
        labels.tables, labels.root, "train", side, augment=train.augment, seed=train.seed
    )
    draws = first_draws(len(dataset), side, train, IMAGES)
    partial = folder / f".{PREVIEW}"
    contact_sheet(dataset, draws).save(partial, "PNG")
    partial.replace(folder / PREVIEW)


if __name__ == "__main__":
    run_stage(main)
