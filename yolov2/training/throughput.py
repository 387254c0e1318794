"""How fast a training runs, and what it waits for."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from yolov2.data.batches.dataset import Batch
from yolov2.network.yolov2 import YOLOv2

BACKWARD = 2
"""Products of the backward pass for one of the forward pass: towards inputs and weights."""
MATRIX = {"cuda": 8192, "cpu": 1024}
"""Side of the matrices whose product is the yardstick of the device."""
PROBE_SIDE = 64
"""Input of the pass that counts the network's products; their number a pixel is constant."""


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Speed of a stretch of training.

    ``data_wait`` is the share of its time spent waiting for batches. ``flop_utilisation`` is
    the share of what the device reaches in one large matrix product, in the number format of
    the training; ``memory_gib`` the most that the CUDA card's tensors took, 0 on a CPU.
    """

    images_per_second: float
    data_wait: float
    flop_utilisation: float
    memory_gib: float


class Meter:
    """Counts images, their products and the waiting; ``read`` starts anew.

    Args:
        device: where the network computes.
        dtype: the format of its products.
        macs_per_pixel: multiplications of one forward pass for each pixel of the input.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype, macs_per_pixel: float) -> None:
        self.device = device
        self.flops_per_pixel = 2 * (1 + BACKWARD) * macs_per_pixel
        self.peak = measured_flops(device, dtype)
        self.restart()

    def restart(self) -> float:
        """Forget what was counted; the time now, by ``time.perf_counter``."""
        self.started = time.perf_counter()
        self.images, self.pixels, self.waited = 0, 0, 0.0
        return self.started

    def timed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches; the time until each comes counts as waiting."""
        while True:
            asked = time.perf_counter()
            batch = next(batches, None)
            self.waited += time.perf_counter() - asked
            if batch is None:
                return
            yield batch

    def count(self, images: int, side: int) -> None:
        """Add ``images`` of ``side`` pixels, over all processes."""
        self.images += images
        self.pixels += images * side * side

    def read(self, processes: int = 1) -> Throughput:
        """The speed since the last reading, of ``processes`` equal devices together."""
        seconds = max(time.perf_counter() - self.started, 1e-9)
        on_cuda = self.device.type == "cuda"
        memory = torch.cuda.max_memory_allocated(self.device) if on_cuda else 0
        result = Throughput(
            images_per_second=self.images / seconds,
            data_wait=self.waited / seconds,
            flop_utilisation=self.pixels * self.flops_per_pixel / seconds / self.peak / processes,
            memory_gib=memory / 2**30,
        )
        self.restart()
        return result


def products_per_pixel(network: YOLOv2) -> float:
    """Multiplications of the convolutions in one forward pass, for each pixel of the input."""
    counted: list[int] = []

    def count(module: nn.Module, _: object, output: torch.Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        counted.append(module.weight.numel() * output.shape[2] * output.shape[3])

    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    hooks = [module.register_forward_hook(count) for module in convolutions]
    was_training = network.training
    empty = torch.zeros(1, 3, PROBE_SIDE, PROBE_SIDE, device=network.anchors.device)
    try:
        with torch.no_grad():
            network.eval()(empty)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return sum(counted) / PROBE_SIDE**2


def measured_flops(device: torch.device, dtype: torch.dtype, repeats: int = 5) -> float:
    """Operations a second of a large square matrix product, the best of some."""
    side = MATRIX.get(device.type, MATRIX["cpu"])
    with torch.random.fork_rng(devices=[]):
        matrix = torch.rand(side, side).to(device, dtype)
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        torch.mm(matrix, matrix)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return 2 * side**3 / min(times[1:])
