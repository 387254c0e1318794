"""How long loss and target assignment take: ``python -m benchmarks.loss [--peer PYTHON]``.

Forward, and backward to the gradient of the network's raw output, on the CPU: 16 images at 640
pixels (a grid of 20 by 20), 5 anchors, 30 boxes an image. The peer is the RegionLoss of lightnet
4.0.0, given as the Python of an environment that has it; both sides get the same numbers, each
in the memory layout that its network puts out. On a machine that others use, ``--cpu --threads
1`` counts processor time, which they disturb less. ``--step`` adds the loss's share of a training
step of the full network, with 4 of the images so that it fits into 8 GiB; it takes minutes.
"""

import argparse
from collections.abc import Callable
from contextlib import ExitStack

import torch
from torch import Tensor

from benchmarks.support.side_by_side import medians, peer, rows, timed
from benchmarks.support.steps import some_batch, some_targets, training_step
from yolov2.config.model import DEFAULT_ANCHORS, STRIDE
from yolov2.config.train import LossConfig
from yolov2.training.loss import yolov2_loss

IMAGES, SIDE, BOXES = 16, 640, 30


def main() -> None:
    """Print a table for 80 and for 20 classes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="Python that has lightnet")
    parser.add_argument("--repetitions", type=int, default=50)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu", action="store_true", help="processor time instead of the clock's")
    parser.add_argument("--step", action="store_true", help="also time whole training steps")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{IMAGES} images at {SIDE}, {BOXES} boxes each, {options.threads} threads")
    for classes in (80, 20):
        print(f"\n{f'{classes} classes':34}{'ms':>12}{'of lightnet':>18}")
        rows(compare(classes, options), against="lightnet RegionLoss")
    if options.step:
        share_of_the_step(4, options.cpu)


def share_of_the_step(images: int, cpu: bool) -> None:
    """Print how long a step of the full network takes, in float32, and the loss in it."""
    batch = some_batch(images=images, side=SIDE, boxes=BOXES, classes=80)
    raw, targets = inputs(80)
    mine = targets[targets[:, 0] < images]
    sides = {
        "step": timed(training_step(batch, 80), cpu=cpu),
        "loss": timed(our_loss(raw[:images], mine, torch.float32), cpu=cpu),
    }
    found = medians(sides, repetitions=3, warm_up=1)
    share = 100 * found["loss"] / found["step"]
    print(f"\n{images} images, 80 classes, float32: a step takes {found['step']:.2f} s", end=", ")
    print(f"the loss {1e3 * found['loss']:.2f} ms, {share:.3f} % of it")


def compare(classes: int, options: argparse.Namespace) -> dict[str, float]:
    """Median seconds of each side."""
    raw, targets = inputs(classes)
    with ExitStack() as stack:
        sides = {
            "ours": timed(our_loss(raw, targets, torch.float32), cpu=options.cpu),
            "ours, bfloat16 output": timed(our_loss(raw, targets, torch.bfloat16), cpu=options.cpu),
        }
        if options.peer is not None:
            given = {"raw": raw, "targets": targets}
            side = peer(options.peer, given, work="loss", anchors=DEFAULT_ANCHORS, cpu=options.cpu)
            sides["lightnet RegionLoss"] = stack.enter_context(side)
        return medians(sides, options.repetitions, warm_up=10)


def inputs(classes: int) -> tuple[Tensor, Tensor]:
    """Raw predictions (B, A, H, W, 5+C) and boxes (T, 6)."""
    grid = SIDE // STRIDE
    generator = torch.Generator().manual_seed(0)
    shape = (IMAGES, len(DEFAULT_ANCHORS), grid, grid, 5 + classes)
    raw = torch.randn(shape, generator=generator)
    return raw, some_targets(IMAGES, BOXES, classes, generator)


def our_loss(raw: Tensor, targets: Tensor, dtype: torch.dtype) -> Callable[[], None]:
    """The loss and its gradient, once each time it is called."""
    # the network's convolutions put the channels last
    output = raw.permute(0, 2, 3, 1, 4).contiguous().permute(0, 3, 1, 2, 4).to(dtype)
    output.requires_grad_()
    anchors, config = torch.tensor(DEFAULT_ANCHORS), LossConfig()

    def repetition() -> None:
        output.grad = None
        yolov2_loss(output, targets, anchors, config).total.backward()

    return repetition


if __name__ == "__main__":
    main()
