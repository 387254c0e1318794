"""Whether detecting in a folder keeps up with the bare network: ``python -m benchmarks.detect``.

BCCD's images (640x480 JPEG) at 416 pixels, batches of 16, the full network with random weights
(or ``--weights``). The network alone computes batches that lie in memory already, with nothing
before or after; with post-processing; then everything that ``yolov2 detect`` does: decoding,
letterbox, network, post-processing, drawing, JPEG files and COCO results. The sides take turns;
medians for all images, and their share of the bare network's time. The goal is 1.15.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from benchmarks.support.side_by_side import medians, rows, timed
from yolov2.config.evaluate import DetectConfig
from yolov2.config.model import DEFAULT_ANCHORS
from yolov2.detection.detect import Canvas, Detector
from yolov2.detection.inputs.kinds import Input
from yolov2.detection.inputs.sources import find_inputs
from yolov2.detection.outputs.coco_ids import RunningIds
from yolov2.detection.outputs.names import Names
from yolov2.detection.outputs.whole import Unwritten
from yolov2.detection.outputs.writers import open_writers
from yolov2.detection.stream import Detected, detect_inputs
from yolov2.network.checkpoint import save_checkpoint
from yolov2.network.yolov2 import YOLOv2

BCCD = Path(__file__).resolve().parents[2] / "shared" / "data" / "bccd" / "images" / "test"
SIDE, BATCH = 416, 16
KINDS = ("drawn", "json")


def main() -> None:
    """Print a table of milliseconds for the whole folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, help="a model instead of random weights")
    parser.add_argument("--images", type=int, default=64, help="how many of the folder's images")
    parser.add_argument("--source", type=Path, default=BCCD, help="folder of images")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        inputs = find_inputs([str(options.source)])[: options.images]
        weights = options.weights or random_weights(Path(folder) / "random.pt")
        config = DetectConfig(image_size=SIDE, batch_size=BATCH)
        detector = Detector.load(weights, options.device, config)
        canvases = [
            detector.canvas(one.content) for one in inputs if not isinstance(one.content, int)
        ]
        sides = {
            "network": timed(lambda: network(detector, canvases)),
            "network, post-processing": timed(lambda: detect(detector, canvases)),
            "detect, nothing written": timed(lambda: whole(detector, inputs, Path(folder), ())),
            "detect, drawn and json": timed(lambda: whole(detector, inputs, Path(folder), KINDS)),
        }
        found = medians(sides, options.repetitions, warm_up=1)
    print(f"{len(inputs)} images, {SIDE} px, batches of {BATCH}, {detector.device}")
    rows(found, against="network")


def random_weights(path: Path) -> Path:
    """A checkpoint of the full network with 80 classes, as it is before any training."""
    torch.manual_seed(0)
    names = tuple(f"class {i}" for i in range(80))
    save_checkpoint(path, YOLOv2(80, DEFAULT_ANCHORS), class_names=names, image_size=SIDE)
    return path


def network(detector: Detector, canvases: Sequence[Canvas]) -> None:
    """The bare network on batches that are in memory."""
    with torch.inference_mode():
        for some in parts(canvases):
            pixels = torch.from_numpy(np.stack([canvas for canvas, _ in some]))
            images = pixels.to(detector.device).permute(0, 3, 1, 2).float() / 255
            detector.network(images)
        if detector.device.type == "cuda":
            torch.cuda.synchronize()


def detect(detector: Detector, canvases: Sequence[Canvas]) -> None:
    """Network and post-processing."""
    for some in parts(canvases):
        detector.detect(some)


def whole(detector: Detector, inputs: Sequence[Input], folder: Path, kinds: Sequence[str]) -> None:
    """What the command does with a folder."""
    target = folder / "found"
    names, unwritten = Names(inputs), Unwritten(lambda name, problem: print(problem))
    with open_writers(target, kinds, names, RunningIds(), unwritten, label_scores=False) as writers:
        for result in detect_inputs(detector, inputs):
            if isinstance(result, Detected):
                for write in writers:
                    write(result)
    shutil.rmtree(target, ignore_errors=True)


def parts(canvases: Sequence[Canvas]) -> list[Sequence[Canvas]]:
    """Batches of the canvases."""
    return [canvases[start : start + BATCH] for start in range(0, len(canvases), BATCH)]


if __name__ == "__main__":
    main()
