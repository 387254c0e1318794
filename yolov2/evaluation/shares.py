"""Saved detections of a split put together: the shares of several machines, COCO's result files."""

from collections.abc import Sequence
from pathlib import Path

from yolov2.config.section import require
from yolov2.detection.detections import Detections
from yolov2.evaluation.annotated import AnnotatedImages
from yolov2.evaluation.coco_json import read_results
from yolov2.evaluation.detections_file import detections_of, no_detections


def gather_detections(files: Sequence[Path], annotated: AnnotatedImages) -> dict[int, Detections]:
    """The detections of all images of ``annotated`` out of several files, each a share of them.

    ``.json`` are COCO results, where an image without an entry is one without a detection.

    Raises:
        ValueError: a file is none of these or of other data, or an image is in two or in none.
    """
    gathered: dict[int, Detections] = {}
    origin: dict[int, Path] = {}
    for file in files:
        part = read_results(file, annotated) if _is_json(file) else detections_of(file, annotated)
        for image_id, found in part.items():
            require(
                image_id not in gathered,
                f"image {image_id} ({annotated.paths[image_id]}) is in {origin.get(image_id)} and"
                f" in {file}: each image must be in one of the files",
            )
            gathered[image_id], origin[image_id] = found, file
    absent = [image_id for image_id in annotated.truth if image_id not in gathered]
    require(
        not absent or any(map(_is_json, files)),
        f"{len(absent)} of {len(annotated.truth)} images are in none of the files, the first is"
        f" {annotated.paths[absent[0]] if absent else ''}: name the files of all shards",
    )
    return {image_id: gathered.get(image_id, no_detections()) for image_id in annotated.truth}


def _is_json(file: Path) -> bool:
    return file.suffix.lower() == ".json"
