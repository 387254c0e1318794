"""How long it takes to read and judge a data set: ``python -m benchmarks.labels [IMAGES]``.

A synthetic data set (640x480 JPEG images, 7 boxes each on average) is read with a warm file
cache. Beside our readers stand the plain ways: ``numpy.loadtxt`` for a label file, decoding an
image in full.
"""

import argparse
import os
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
from PIL import Image

from yolov2.config.data import ValidateConfig
from yolov2.data.description import label_path, read_description
from yolov2.data.images.probe import probe_image
from yolov2.data.labels.checks import judge
from yolov2.data.labels.files import parse_labels
from yolov2.data.labels.raw_tables import read_raw_tables
from yolov2.data.table import LabelTables

Result = TypeVar("Result")

PICTURES = 20
"""Different pictures; every image file is a second name of one of them."""


def main() -> None:
    """Print a table: step, seconds, processor seconds, processor microseconds a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", nargs="?", type=int, default=20_000)
    count = parser.parse_args().images
    with TemporaryDirectory() as folder:
        root = Path(folder)
        compose(root, count)
        print(f"{count} images with label files, {os.cpu_count()} processors")
        print(f"{'step':36}{'seconds':>9}{'CPU s':>9}{'CPU us/file':>13}")
        file = root / "data.yaml"
        description = timed("description, list of images", count, lambda: read_description(file))
        raw = timed("images and labels", count, lambda: read_raw_tables(description))
        tables, _ = timed("rules and policies", count, lambda: judge(raw, ValidateConfig()))
        timed("write the tables", count, lambda: tables.write(root))
        timed("read the tables", count, lambda: LabelTables.read(root))
        images = description.images["train"]
        labels = [label_path(image) for image in images]
        some = images[:500]
        timed("labels alone", count, lambda: [parse_labels(path.read_bytes()) for path in labels])
        timed("  numpy.loadtxt", 500, lambda: [np.loadtxt(path, ndmin=2) for path in labels[:500]])
        timed("images alone, one thread", 500, lambda: [probe_image(path) for path in some])
        timed("  decoded in full", 500, lambda: [decode(path) for path in some])


def compose(root: Path, count: int) -> None:
    """Write the data set into ``root``."""
    random = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (root / folder).mkdir()
    pictures = []
    for number in range(PICTURES):
        coarse = random.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        pictures.append(root / f"{number}.jpg")
        Image.fromarray(coarse).resize((640, 480)).save(pictures[-1], quality=90)
    for number in range(count):
        os.link(pictures[number % PICTURES], root / "images" / f"{number:06d}.jpg")
        sizes = random.uniform(0.01, 0.3, (random.integers(1, 14), 2))
        centres = random.uniform(0.2, 0.8, sizes.shape)
        lines = [
            f"{number % 80} {cx:.6f} {cy:.6f} {w:.6f} {h:.6f}\n"
            for (cx, cy), (w, h) in zip(centres, sizes, strict=True)
        ]
        (root / "labels" / f"{number:06d}.txt").write_text("".join(lines), encoding="utf-8")
    (root / "data.yaml").write_text("train: images\nnc: 80\n", encoding="utf-8")


def decode(image: Path) -> None:
    """Read and decode all of an image."""
    Image.open(BytesIO(image.read_bytes())).load()


def timed(name: str, files: int, work: Callable[[], Result]) -> Result:
    """The result of ``work``; printed are seconds on the clock, and of processor time."""
    start, start_cpu = time.perf_counter(), time.process_time()
    result = work()
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    print(f"{name:36}{seconds:9.2f}{cpu:9.2f}{1e6 * cpu / files:13.0f}")
    return result


if __name__ == "__main__":
    main()
