"""How many training images a core makes: ``python -m benchmarks.input_pipeline [--peer PYTHON]``.

BCCD (205 images of 640x480) at 640 pixels with a mosaic in every image, size, place and colours
changed, mirrored; one thread, warm file cache, batches of 16. Processor time is measured, so
that what else the machine does counts for less. The peer is the data set class of
Ultralytics 8.4 with the settings it trains with by default, given as the Python of an
environment that has it; the sides take turns of 48 images, and the medians are shown. Then where
our time goes, by the profiler (which slows small functions most).
"""

import argparse
import cProfile
import pstats
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.support.side_by_side import Repetition, medians, peer
from yolov2.config.augment import AugmentConfig
from yolov2.config.data import ValidateConfig
from yolov2.config.train import TrainConfig
from yolov2.data.batches.dataset import DetectionDataset
from yolov2.data.batches.plan import Plan
from yolov2.data.description import read_description
from yolov2.data.images.cache import CacheKind
from yolov2.data.labels.checks import load_tables

BCCD = Path(__file__).resolve().parents[2] / "shared" / "data" / "bccd"
SIDE, BATCH = 640, 16

TURN = 3 * BATCH
"""Images that a side makes in its turn."""

MOSAIC = AugmentConfig(mosaic=1.0, scale=(0.5, 1.5))
SINGLE = AugmentConfig(scale=(0.5, 1.5))

PEER_MOSAIC = {"mosaic": 1.0, "scale": 0.5, "translate": 0.1, "fliplr": 0.5}
"""What the peer does by default, with its HSV changes; it has no change of the aspect."""


def main() -> None:
    """Print a table of images a second, then the largest contributors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="Python that has ultralytics 8.4")
    parser.add_argument("--repetitions", type=int, default=40)
    parser.add_argument("--data", type=Path, default=BCCD, help="folder of the data set BCCD")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder, ExitStack() as stack:
        root = Path(folder) / "bccd"  # the peer writes a file beside the labels
        shutil.copytree(options.data, root, copy_function=shutil.copyfile)
        sides = {
            "mosaic": timed(images(root, MOSAIC)),
            "mosaic, cache: ram": timed(images(root, MOSAIC, "ram")),
            "mosaic, colours on the device": timed(
                images(root, AugmentConfig(mosaic=1.0, scale=(0.5, 1.5), augment_on="device"))
            ),
            "single image": timed(images(root, SINGLE)),
        }
        if options.peer is not None:
            for name, mosaic in (("peer, mosaic", 1.0), ("peer, single image", 0.0)):
                sides[name] = stack.enter_context(
                    peer(options.peer, {}, **job(root, PEER_MOSAIC | {"mosaic": mosaic}))
                )
        found = medians(sides, options.repetitions, warm_up=5)
        show(found)
        print()
        profile(images(root, MOSAIC))


def job(root: Path, settings: Mapping[str, float]) -> dict[str, object]:
    """What ``ultralytics_peer.py`` is told."""
    return {
        "script": "ultralytics_peer.py",
        "images": str(root / "images" / "train"),
        "names": ["RBC", "WBC", "Platelets"],
        "side": SIDE,
        "batch": BATCH,
        "count": TURN,
        "settings": settings,
    }


def images(root: Path, augment: AugmentConfig, cache: CacheKind = "none") -> Callable[[], None]:
    """What makes the next training images, epoch after epoch, each time it is called."""
    tables, _ = load_tables(read_description(root / "data.yaml"), ValidateConfig(zero_size="drop"))
    dataset = DetectionDataset(tables, root, "train", SIDE, augment=augment, cache=cache)
    config = TrainConfig(epochs=1_000_000, augment=augment)
    size = len(dataset)
    plan = Plan(size=size, nominal_batch=BATCH, sides=(SIDE,), base_side=SIDE, config=config)
    draws = (draw for step in plan.steps(0) for draw in step.draws)

    def turn() -> None:
        for draw in islice(draws, TURN):
            dataset[draw]

    return turn


def timed(work: Callable[[], None]) -> Repetition:
    """``work`` as a side, in seconds of processor time."""

    def repetition() -> float:
        started = time.process_time()
        work()
        return time.process_time() - started

    return repetition


def show(found: Mapping[str, float]) -> None:
    """Print a line for each side: images a second, and how many times the peer's."""
    print(f"{'one core, 640 pixels':34}{'images/s':>10}{'of the peer':>14}")
    for name, seconds in found.items():
        other = found.get("peer, single image" if "single" in name else "peer, mosaic")
        share = "not given" if other is None else f"{other / seconds:.2f}"
        print(f"{name:34}{TURN / seconds:10.1f}{share:>14}")


def profile(work: Callable[[], None], lines: int = 12) -> None:
    """Print the functions in which ``work`` spends most of its time, without what they call."""
    for _ in range(5):
        work()
    profiler = cProfile.Profile()
    for _ in range(5):
        profiler.runcall(work)
    entries = pstats.Stats(profiler).get_stats_profile()
    functions = entries.func_profiles
    print(f"{'share of the time (mosaic)':44}{'calls':>10}{'%':>8}")
    largest = sorted(functions.items(), key=lambda item: -item[1].tottime)[:lines]
    for name, function in largest:
        share = 100 * function.tottime / entries.total_tt
        print(f"{name[:42]:44}{function.ncalls:>10}{share:8.1f}")


if __name__ == "__main__":
    main()
