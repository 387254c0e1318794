"""How long a training step takes: ``python -m benchmarks.train_step [--peer PYTHON]``.

Forward, loss, backward, clipping and the SGD step on the CPU, without loading images. The full
network with 4 images at 416 pixels stands beside that of lightnet 4.0.0, given as the Python of
an environment that has it. The small network is that of the demo: 16 images at 128 pixels,
width 0.25, 10 classes; ``--only small`` times it alone.
"""

import argparse
from contextlib import ExitStack

import torch

from benchmarks.support.side_by_side import medians, peer, rows, timed
from benchmarks.support.steps import some_batch, training_step
from yolov2.config import DEFAULT_ANCHORS


def main() -> None:
    """Print a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="Python that has lightnet")
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--classes", type=int, default=20, help="of the full network")
    parser.add_argument("--only", choices=("full", "small"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.only != "small":
        print(
            f"full network, {options.classes} classes, 4 images at 416, {options.threads} threads"
        )
        print(f"{'':34}{'ms':>12}{'of lightnet':>18}")
        rows(full(options.classes, options.peer, options.repetitions), against="lightnet, float32")
    if options.only != "full":
        print(f"\nwidth 0.25, 10 classes, 16 images at 128, {options.threads} threads")
        print(f"{'':34}{'ms':>12}{'images/s':>18}")
        for name, seconds in small(10 * options.repetitions).items():
            print(f"{name:34}{1e3 * seconds:12.2f}{16 / seconds:18.1f}")


def full(classes: int, python: str | None, repetitions: int) -> dict[str, float]:
    """Median seconds of a step of each side."""
    batch = some_batch(images=4, side=416, boxes=7, classes=classes)
    with ExitStack() as stack:
        sides = {
            "ours, float32": timed(training_step(batch, classes, amp="off")),
            "ours, bfloat16": timed(training_step(batch, classes, amp="bf16")),
        }
        if python is not None:
            inputs = {"images": batch.images, "targets": batch.targets}
            job = {"work": "step", "anchors": DEFAULT_ANCHORS, "classes": classes}
            for name, code in (("float32", "off"), ("bfloat16", "bf16")):
                side = peer(python, inputs, format=code, **job)
                sides[f"lightnet, {name}"] = stack.enter_context(side)
        return medians(sides, repetitions)


def small(repetitions: int) -> dict[str, float]:
    """Median seconds of a step of the demo's network."""
    batch = some_batch(images=16, side=128, boxes=2, classes=10)
    sides = {
        name: timed(training_step(batch, 10, width=0.25, amp=amp))
        for name, amp in (("ours, float32", "off"), ("ours, bfloat16", "bf16"))
    }
    return medians(sides, repetitions, warm_up=10)


if __name__ == "__main__":
    main()
