"""``yolov2 preview``."""

import argparse
from pathlib import Path

from yolov2.commands.augmentation import AUGMENT
from yolov2.commands.options import add_data, add_section, section_from
from yolov2.config.augment import AugmentConfig
from yolov2.config.model import ModelConfig

SUMMARY = "show what training images become"
DESCRIPTION = """\
Write a picture of training images as the network sees them: changed at random, with their boxes
and class names. A look at it tells whether the labels fit and the changes make sense.
"""
EXAMPLE = """\
example:
  yolov2 preview --data my/data.yaml --output preview.png
  yolov2 preview --data my/data.yaml --mosaic 1 --scale 0.5 1.5 --epoch 3 --output epoch3.png
"""
FORMATS = (".png", ".jpg", ".jpeg", ".webp")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``yolov2 preview``."""
    add_data(parser)
    parser.add_argument(
        "--output", default="preview.png", metavar="FILE", help="the picture to write"
    )
    parser.add_argument("--images", type=int, default=9, metavar="N", help="number of images")
    add_section(parser, ModelConfig, {"image_size": "side of each image in pixels"})
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the random changes")
    parser.add_argument(
        "--epoch", type=int, default=0, metavar="N", help="another one: other images and changes"
    )
    changes = parser.add_argument_group("random changes of the training images")
    add_section(changes, AugmentConfig, AUGMENT)


def run(args: argparse.Namespace) -> int:
    """Write the picture."""
    augment, size = section_from(args, AugmentConfig), section_from(args, ModelConfig).image_size
    output = Path(args.output)
    if output.suffix.lower() not in FORMATS:
        raise ValueError(f"--output must end in one of {', '.join(FORMATS)}, not '{output.name}'")
    for name, smallest in (("images", 1), ("seed", 0), ("epoch", 0)):
        if vars(args)[name] < smallest:
            raise ValueError(f"--{name} must be at least {smallest}, not {vars(args)[name]}")

    from yolov2.commands.data import load_data

    data = load_data(args)

    # late: mistakes in the data are shown before torch is loaded
    from yolov2.data.batches.dataset import DetectionDataset
    from yolov2.detection.contact_sheet import contact_sheet, sample_draws

    dataset = DetectionDataset(
        data.tables, data.root, "train", size, augment=augment, seed=args.seed
    )
    draws = sample_draws(dataset, images=args.images, side=size, seed=args.seed, epoch=args.epoch)
    picture = contact_sheet(dataset, draws)
    output.parent.mkdir(parents=True, exist_ok=True)
    picture.save(output)
    print(f"{len(draws)} images: {output}")
    return 0
