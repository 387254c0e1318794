"""How long a training step takes: ``python -m benchmarks.train_step [--peer PYTHON]``.

Forward, loss, backward, clipping and the SGD step on the CPU, without loading images. The full
network with 4 images at 416 pixels stands beside that of lightnet 4.0.0, given as the Python of
an environment that has it. The small network is that of the demo: 16 images at 128 pixels,
width 0.25, 10 classes; ``--only small`` times it alone. On a machine that others use, ``--cpu
--threads 1`` counts processor time, which they disturb less.
"""

import argparse
from contextlib import ExitStack
from typing import Any

import torch

from benchmarks.support.side_by_side import medians, peer, rows, timed
from benchmarks.support.steps import some_batch, training_step
from yolov2.config.model import DEFAULT_ANCHORS


def main() -> None:
    """Print a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="Python that has lightnet")
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--classes", type=int, default=20, help="of the full network")
    parser.add_argument("--cpu", action="store_true", help="processor time instead of the clock's")
    parser.add_argument("--only", choices=("full", "small"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.only != "small":
        print(
            f"full network, {options.classes} classes, 4 images at 416, {options.threads} threads"
        )
        print(f"{'':34}{'ms':>12}{'of lightnet':>18}")
        rows(full(options), against="lightnet, float32")
    if options.only != "full":
        print(f"\nwidth 0.25, 10 classes, 16 images at 128, {options.threads} threads")
        print(f"{'':34}{'ms':>12}{'images/s':>18}")
        for name, seconds in small(options).items():
            print(f"{name:34}{1e3 * seconds:12.2f}{16 / seconds:18.1f}")


def full(options: argparse.Namespace) -> dict[str, float]:
    """Median seconds of a step of each side."""
    classes = options.classes
    batch = some_batch(images=4, side=416, boxes=7, classes=classes)
    with ExitStack() as stack:
        sides = {
            "ours, float32": timed(training_step(batch, classes, amp="off"), cpu=options.cpu),
            "ours, bfloat16": timed(training_step(batch, classes, amp="bf16"), cpu=options.cpu),
        }
        if options.peer is not None:
            inputs = {"images": batch.images, "targets": batch.targets}
            for name, amp in (("float32", "off"), ("bfloat16", "bf16")):
                job: dict[str, Any] = {
                    "work": "step",
                    "anchors": DEFAULT_ANCHORS,
                    "classes": classes,
                    "format": amp,
                }
                side = peer(options.peer, inputs, cpu=options.cpu, **job)
                sides[f"lightnet, {name}"] = stack.enter_context(side)
        return medians(sides, options.repetitions)


def small(options: argparse.Namespace) -> dict[str, float]:
    """Median seconds of a step of the demo's network."""
    batch = some_batch(images=16, side=128, boxes=2, classes=10)
    sides = {
        "ours, float32": timed(training_step(batch, 10, width=0.25, amp="off"), cpu=options.cpu),
        "ours, bfloat16": timed(training_step(batch, 10, width=0.25, amp="bf16"), cpu=options.cpu),
    }
    return medians(sides, 10 * options.repetitions, warm_up=10)


if __name__ == "__main__":
    main()
