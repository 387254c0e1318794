"""How long an evaluation takes: ``python -m benchmarks.evaluation``.

Random ground truth and detections of the size of COCO's val2017: 5,000 images, 80 classes, 36,000
objects, 500,000 detections, as our ``GroundTruth`` and ``Detections``. Timed is the way to the
twelve numbers, with all preparation: the arrays of each side made of them, matching,
accumulation. hotcoco's numbers must be those of pycocotools, bit for bit, or this ends with an
error. ``--resamples`` resamples of the images for the confidence intervals are timed as well.
"""

import argparse
import sys

import numpy as np

from benchmarks.support.side_by_side import medians, rows, timed
from yolov2.detection.detections import Detections, GroundTruth
from yolov2.evaluation.bootstrap import intervals
from yolov2.evaluation.hotcoco_eval import average_precision, evaluator, twelve_numbers
from yolov2.evaluation.pycocotools_eval import coco_metrics

OBJECTS_PER_IMAGE = 7.2
FOUND, RIGHT_CLASS, NOISE = 0.5, 0.9, 0.08
"""Of the detections so many lie on an object, and have its class; error as share of the size."""


def main() -> None:
    """Print a table of the sides, then the time of the intervals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--detections", type=int, default=500_000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--cpu", action="store_true", help="processor time instead of the clock's")
    options = parser.parse_args()
    truth, found = random_case(options.images, options.classes, options.detections)
    objects = sum(map(len, truth.values()))
    print(
        f"{options.images:,} images, {options.classes} classes, {objects:,} objects,"
        f" {sum(map(len, found.values())):,} detections"
    )
    names = [f"class {k}" for k in range(options.classes)]
    answers: dict[str, dict[str, float]] = {}

    def ours() -> None:
        judge = evaluator(truth, found, options.classes)
        judge.evaluate()
        answers["ours"] = twelve_numbers(judge)

    def theirs() -> None:
        answers["pycocotools"] = coco_metrics(truth, found, names).stats

    sides = {
        "ours, twelve numbers": timed(ours, cpu=options.cpu),
        "ours, AP and AP50 in training": timed(
            lambda: average_precision(truth, found, options.classes), cpu=options.cpu
        ),
        "pycocotools": timed(theirs, cpu=options.cpu),
    }
    print(f"{'':34}{'ms':>12}{'of pycocotools':>18}")
    rows(medians(sides, options.repetitions, warm_up=0), against="pycocotools")
    if answers["ours"] != answers["pycocotools"]:
        sys.exit(f"the numbers differ: {answers}")
    print(f"the twelve numbers are equal bit for bit; AP {answers['ours']['AP']:.4f}")
    if options.resamples:
        work = timed(
            lambda: intervals(truth, found, options.classes, resamples=options.resamples),
            cpu=options.cpu,
        )
        print(f"intervals of AP and AP50, {options.resamples:,} resamples: {work():.1f} s")


def random_case(
    images: int, classes: int, detections: int
) -> tuple[dict[int, GroundTruth], dict[int, Detections]]:
    """Objects of all sizes, half of the detections around them and the rest anywhere."""
    rng = np.random.default_rng(0)
    truth, found = {}, {}
    share = rng.multinomial(detections, np.full(images, 1 / images))
    for image_id, (count, seen) in enumerate(
        zip(rng.poisson(OBJECTS_PER_IMAGE, images), share, strict=True), start=1
    ):
        corner, size = rng.uniform(0, 480, (count, 2)), np.exp(rng.uniform(2, 5, (count, 2)))
        boxes = np.concatenate((corner, corner + size), axis=1)
        class_ids = rng.integers(0, classes, count)
        truth[image_id] = GroundTruth(boxes_xyxy=boxes, class_ids=class_ids)
        corner, size = rng.uniform(0, 480, (seen, 2)), np.exp(rng.uniform(2, 5, (seen, 2)))
        guesses = np.concatenate((corner, corner + size), axis=1)
        labels = rng.integers(0, classes, seen)
        if count:
            near = np.flatnonzero(rng.random(seen) < FOUND)
            source = rng.integers(0, count, len(near))
            scale = np.tile(boxes[source, 2:] - boxes[source, :2], 2)
            guesses[near] = boxes[source] + rng.normal(0, NOISE, (len(near), 4)) * scale
            right = rng.random(len(near)) < RIGHT_CLASS
            labels[near[right]] = class_ids[source[right]]
        low, high = guesses[:, :2], np.maximum(guesses[:, 2:], guesses[:, :2] + 1)
        found[image_id] = Detections(
            boxes_xyxy=np.concatenate((low, high), axis=1).astype(np.float32),
            scores=-np.sort(-rng.random(seen)).astype(np.float32),
            class_ids=labels,
        )
    return truth, found


if __name__ == "__main__":
    main()
