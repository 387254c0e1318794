"""The other side of the comparisons: lightnet, in a Python that has it, by its public interface.

Started by ``side_by_side.Peer``: a line of JSON says what to do, each further line asks for one
repetition and is answered by its seconds.
"""

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch

warnings.simplefilter("ignore")
import lightnet  # noqa: E402  (warns when it is imported)


def main() -> None:
    """Answer repetitions until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    job = json.loads(sys.stdin.readline())
    torch.set_num_threads(job["threads"])
    inputs = torch.load(job["inputs"])
    repetition = {"loss": loss, "step": step}[job["work"]](inputs, job)
    clock = time.process_time if job["cpu"] else time.perf_counter
    print(json.dumps({"torch": torch.__version__}), file=answers)
    for _ in sys.stdin:
        started = clock()
        repetition()
        print(clock() - started, file=answers)


def padded(targets: torch.Tensor, images: int) -> torch.Tensor:
    """Boxes (T, 6) with their image in front -> (images, M, 5), filled up with class -1."""
    counts = targets[:, 0].long().bincount(minlength=images)
    filled = torch.zeros(images, int(counts.max()), 5)
    filled[..., 0] = -1
    for image in range(images):
        filled[image, : counts[image]] = targets[targets[:, 0] == image, 1:]
    return filled


def loss(inputs: dict[str, torch.Tensor], job: dict[str, Any]) -> Callable[[], None]:
    """Loss and gradient of ``raw`` (B, A, H, W, 5+C), laid out as its network gives it."""
    raw = inputs["raw"]  # (B, A, H, W, 5+C)
    images, anchors, rows, columns, entries = raw.shape
    output = raw.permute(0, 1, 4, 2, 3).reshape(images, anchors * entries, rows, columns)
    output = output.contiguous().requires_grad_()
    targets = padded(inputs["targets"], images)
    table = lightnet.util.Anchors.from_output(32, job["anchors"])
    criterion = lightnet.network.loss.RegionLoss(entries - 5, table, 32)

    def repetition() -> None:
        output.grad = None
        criterion(output, targets).backward()

    return repetition


def step(inputs: dict[str, torch.Tensor], job: dict[str, Any]) -> Callable[[], None]:
    """A whole training step of its YOLOv2, in float32 or with bfloat16 autocast."""
    images = inputs["images"].float() / 255  # (B, 3, S, S)
    targets = padded(inputs["targets"], len(images))
    network = lightnet.models.YoloV2(job["classes"], anchors=job["anchors"]).train()
    criterion = lightnet.network.loss.RegionLoss(job["classes"], network.anchors, network.stride)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-6, momentum=0.9, weight_decay=5e-4)

    def repetition() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=job["format"] == "bf16"):
            output = network(images)
        criterion(output.float(), targets).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 35.0)
        optimizer.step()
        optimizer.zero_grad()

    return repetition


if __name__ == "__main__":
    main()
