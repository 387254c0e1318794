"""The processes of one training: alone, or several under ``torchrun``."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from yolov2.config.model import STRIDE
from yolov2.config.section import require

Content = TypeVar("Content")
Network = TypeVar("Network", bound=nn.Module)
PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others: they may be validating or saving."""


@dataclass(frozen=True, kw_only=True)
class World:
    """This process among the others: ``rank`` from 0 of ``size``. Rank 0 writes and reports."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    def device(self, device: torch.device) -> torch.device:
        """The card of this process where several train, else ``device``."""
        if self.size > 1 and device.type == "cuda":
            return torch.device("cuda", self.local_rank)
        return device

    def sum(self, values: Tensor) -> Tensor:
        """Elementwise sums over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def gather(self, content: Content) -> list[Content]:
        """What each process gave, by rank, on rank 0; on the others an empty list."""
        if self.size == 1:
            return [content]
        everyone: list[Any] | None = [None] * self.size if self.is_main else None
        dist.gather_object(content, everyone)
        return everyone or []

    def share(self, content: Content) -> Content:
        """What rank 0 gave, on all."""
        if self.size == 1:
            return content
        box = [content]
        dist.broadcast_object_list(box)
        return box[0]

    def share_buffers(self, network: nn.Module) -> None:
        """Rank 0's buffers (running means and variances), on all."""
        if self.size > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, src=0)

    def synchronised(self, network: Network, device: torch.device) -> Network:
        """``network``, whose batch norms take their statistics over all processes.

        Raises:
            ValueError: ``device`` is no CUDA card.
        """
        require(
            device.type == "cuda",
            f"sync_batch_norm needs CUDA cards, and the device is {device.type}: set it to false",
        )
        converted: Network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return converted

    def averaging(self, network: nn.Module, device: torch.device) -> DistributedDataParallel:
        """``network``, whose gradients are averaged over all processes, always in one order.

        It also takes a batch of no images, for a process that has nothing to compute.

        After its first backward pass torch regroups the gradients, once, in the order in which
        they were ready. With three processes and more the groups decide in which order numbers
        are added, so a training that is taken up would begin with other sums than it was left
        with. A pass over a black image has it regroup before the first step, of every start.
        """
        ids = [device] if device.type == "cuda" else None
        model = DistributedDataParallel(
            network, device_ids=ids, broadcast_buffers=False, gradient_as_bucket_view=True
        )
        network.eval()  # no statistics are moved
        model(torch.zeros(1, 3, STRIDE, STRIDE, device=device)).sum().backward()
        network.zero_grad(set_to_none=True)
        for module in network.modules():
            if isinstance(module, nn.PixelUnshuffle):
                module.register_forward_hook(_unshuffle_nothing)
        return model


def _unshuffle_nothing(module: nn.PixelUnshuffle, given: tuple[Tensor], output: Tensor) -> Tensor:
    """``output``, in its right shape also without images: torch gives those back as they came."""
    (images,) = given  # (B, C, H, W)
    if len(images) > 0:
        return output
    factor = module.downscale_factor
    _, channels, height, width = images.shape
    return images.reshape(0, channels * factor**2, height // factor, width // factor)


@contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """The world that ``torchrun`` started this process in; alone where it did not.

    Collectives go over NCCL between CUDA cards, over Gloo otherwise.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1:
        yield World()
        return
    world = World(
        rank=int(os.environ["RANK"]),
        size=int(os.environ["WORLD_SIZE"]),
        local_rank=int(os.environ["LOCAL_RANK"]),
    )
    if device.type == "cuda":
        torch.cuda.set_device(world.device(device))
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield world
    finally:
        dist.destroy_process_group()
