"""``yolov2 detect``."""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolov2.commands.options import add_device, add_section, section_from
from yolov2.config import DetectConfig
from yolov2.section import require

if TYPE_CHECKING:
    from PIL.Image import Image

    from yolov2.detection.detect import Detected, Detector

RESULTS = "detections.json"
DRAWN_AS_THEY_ARE = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Formats that every Pillow writes; the copy of any other file is a JPEG."""
MAX_WINDOWS = 10

SUMMARY = "find objects in an image or a folder of images"
DESCRIPTION = """\
Draws the boxes into copies of the images and writes them to --output-dir, with detections.json
(COCO results: image_id counts the files by name from 0, bbox is [left, top, width, height] in
pixels of the image) beside them.
"""
EXAMPLE = """\
example:
  yolov2 detect --weights runs/train/best.pt --source photos/ --output-dir found
  yolov2 detect --weights runs/train/best.pt --source street.jpg --conf-threshold 0.3 --show

A file that cannot be read is reported and the rest goes on; the exit status is then 1.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``yolov2 detect``."""
    parser.add_argument("--weights", required=True, metavar="FILE", help="a checkpoint (.pt)")
    parser.add_argument(
        "--source", required=True, metavar="PATH", help="an image, or a folder of images"
    )
    parser.add_argument(
        "--output-dir", default="detections", metavar="FOLDER", help="where to write the results"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace results of the same name there"
    )
    parser.add_argument(
        "--show",
        action="store_true",
        help=f"open a window for each image as well (at most {MAX_WINDOWS} images)",
    )
    add_section(
        parser,
        DetectConfig,
        {
            "conf_threshold": "lowest score (objectness times class probability) of a detection",
            "nms_threshold": "IoU above which the weaker of two boxes of a class goes",
            "max_detections": "most detections of an image",
            "batch_size": "images the network takes at once",
        },
    )
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Detect, write, summarise; 1 if a file could not be read."""
    config = section_from(args, DetectConfig)

    from yolov2.commands.progress import announce, bar
    from yolov2.detection.detect import Detected, Detector, detect_files, find_images

    paths = find_images(Path(args.source))
    folder = Path(args.output_dir)
    if args.show:
        require_display(len(paths))
    targets = dict(zip(paths, output_paths(paths, folder, overwrite=args.overwrite), strict=True))
    detector = Detector.load(args.weights, args.device, config)
    folder.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = []
    unreadable, started = 0, time.perf_counter()
    outcomes = enumerate(detect_files(detector, paths))
    for image_id, outcome in bar(outcomes, total=len(paths), unit="image"):
        if isinstance(outcome, Detected):
            results += coco_results(image_id, outcome, detector)
            drawn = draw(outcome, detector, targets[outcome.path])
            if args.show:
                show(drawn)
        else:
            unreadable += 1
            announce(f"skipped: {outcome.problem}")
    seconds = time.perf_counter() - started
    lines = ",\n".join(json.dumps(result, ensure_ascii=False) for result in results)
    (folder / RESULTS).write_text(f"[\n{lines}\n]\n", "utf-8")
    print(summary(results, len(paths), unreadable, seconds))
    print(f"drawn images and {RESULTS}: {folder}")
    return 1 if unreadable else 0


def output_paths(paths: Sequence[Path], folder: Path, *, overwrite: bool) -> list[Path]:
    """Where the drawn copies of ``paths`` go: the same names in ``folder``.

    Raises:
        ValueError: that would replace a source image, or files of before without ``overwrite``.
    """
    require(
        folder.resolve() not in {path.resolve().parent for path in paths},
        f"--output-dir {folder} is the folder of the source images, which are never replaced:"
        " name another folder",
    )
    targets = [
        folder / (path.name if path.suffix.lower() in DRAWN_AS_THEY_ARE else f"{path.name}.jpg")
        for path in paths
    ]
    there = [path for path in (*targets, folder / RESULTS) if path.exists()]
    require(
        overwrite or not there,
        f"{there[0] if there else folder} exists ({len(there)} of the results do): name another"
        " --output-dir, or replace them with --overwrite",
    )
    return targets


def draw(outcome: "Detected", detector: "Detector", target: Path) -> "Image":
    """Write the image with its boxes to ``target``."""
    from yolov2.detection.draw import draw_detections

    drawn = draw_detections(outcome.image, outcome.detections, detector.class_names)
    drawn.save(target, quality=92)
    return drawn


def coco_results(
    image_id: int, outcome: "Detected", detector: "Detector"
) -> Iterable[dict[str, Any]]:
    """The detections of an image as COCO result entries, with the names for people."""
    found = outcome.detections
    for box, score, class_id in zip(
        found.boxes_xyxy.tolist(), found.scores.tolist(), found.class_ids.tolist(), strict=True
    ):
        left, top, right, bottom = (round(side, 2) for side in box)
        yield {
            "image_id": image_id,
            "category_id": class_id,
            "bbox": [left, top, round(right - left, 2), round(bottom - top, 2)],
            "score": round(score, 5),
            "file_name": outcome.path.name,
            "category_name": detector.class_names[class_id],
        }


def summary(results: Sequence[dict[str, Any]], images: int, unreadable: int, seconds: float) -> str:
    """One line: how many images and detections of which classes, how fast."""
    counts = Counter(result["category_name"] for result in results).most_common()
    classes = ", ".join(f"{name} {count}" for name, count in counts)
    text = f"{images - unreadable} images, {len(results)} detections"
    text += f" ({classes})" if classes else ""
    text += f", {unreadable} files could not be read" if unreadable else ""
    return f"{text}, {images / seconds:.1f} images/s"


def require_display(images: int) -> None:
    """Raise ``ValueError`` where windows cannot be opened, or would be too many."""
    require(
        images <= MAX_WINDOWS,
        f"--show opens a window for each image and there are {images}: name one image, or at"
        f" most {MAX_WINDOWS}",
    )
    has_display = sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    require(
        has_display,
        "--show needs a display and this session has none (DISPLAY is not set): leave it out and"
        " look at the drawn images in --output-dir",
    )


def show(drawn: "Image") -> None:
    """Open a window with the image; ``ValueError`` if the system has no image viewer."""
    from PIL import ImageShow

    require(
        ImageShow.show(drawn),
        "--show found no image viewer: install xdg-utils or ImageMagick, or leave it out",
    )
