"""What ``yolov2 evaluate`` is given: a model or detections, annotations, a share, a folder."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from yolov2.config.section import require

if TYPE_CHECKING:
    from yolov2.evaluation.annotated import AnnotatedImages
    from yolov2.evaluation.evaluate import Shard
    from yolov2.runtime.model_file import OpenedModel


REGISTERED = Path("runs/evaluate")
"""Below it go the reports of registered models, as trainings go to ``runs/train`` by default."""


def require_one_way(args: argparse.Namespace) -> None:
    """Raise ``ValueError`` unless the options say one thing."""
    require(
        bool(args.weights) != bool(args.detections),
        "give --weights to detect with, or --detections to judge what was detected; one of them",
    )
    require(not (args.shard and args.detections), "--shard detects: give --weights with it")
    require(
        not (args.images and not args.annotations), "--images belongs to --annotations: give both"
    )
    require(
        not (args.annotations and args.weights and not args.images),
        "--annotations do not say where the images are: name their folder with --images",
    )
    require(
        not args.images or Path(args.images).is_dir(), f"--images {args.images}: no such folder"
    )


def read_shard(text: str | None) -> "Shard":
    """``I/N`` as a share of the images; all of them if there is no text."""
    from yolov2.evaluation.evaluate import ALL, Shard

    if text is None:
        return ALL
    number, slash, count = text.partition("/")
    require(
        bool(slash) and number.isdecimal() and count.isdecimal(),
        f"--shard {text}: write it as I/N, for example 1/4",
    )
    return Shard(number=int(number), count=int(count))


def coco_images(args: argparse.Namespace, model: "OpenedModel | None") -> "AnnotatedImages":
    """The annotated images of a COCO file; the classes are the model's, or the detections'."""
    from yolov2.evaluation.coco_json import read_annotations
    from yolov2.evaluation.detections_file import read_detections

    names = None if model is None else model.manifest.class_names
    if model is None and not args.detections[0].endswith(".json"):
        names = read_detections(Path(args.detections[0])).class_names
    folder = Path(args.images) if args.images else None
    return read_annotations(Path(args.annotations), folder, names, args.split)


def report_folder(args: argparse.Namespace) -> Path:
    """Where the report goes: the folder asked for, or that of the model or the detections."""
    if args.save_dir:
        return Path(args.save_dir)
    from yolov2.runtime.address import ADDRESS

    weights = str(args.weights or args.detections[0])
    address = ADDRESS.match(weights)
    if args.weights and address:  # a registered model has no folder of its own here
        return REGISTERED / weights[address.end() :].strip("/").replace("/", "-")
    return Path(weights).parent
