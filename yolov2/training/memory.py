"""Memory that does not suffice for a training step, and a batch size found that fits."""

from collections.abc import Callable

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from yolov2.network.device import (
    TooLittleMemoryError,
    free_memory,
    is_out_of_memory,
    memory_figures,
)

SHARE = 0.7
"""Of the free memory, what a training may take for the activations of a batch."""
MOST = 1024
"""Images at a time beyond which nothing gets faster."""


def explain(device: torch.device, batch_size: int, side: int) -> str:
    """The figures of an out-of-memory error, and the advice that helps most first."""
    half = max(1, batch_size // 2)
    return (
        f"out of memory on {device}: {batch_size} images of {side}x{side} pixels at a time do not"
        f" fit ({memory_figures(device)}). What helps: train.batch_size: {half} with"
        f" train.nominal_batch: {batch_size} (same optimiser step, gradients accumulated;"
        " train.failure.on_oom: halve does it by itself), a smaller model.image_size or"
        " train.multi_scale.largest, train.amp: auto, a smaller model.width"
    )


def saved_bytes(forward: Callable[[int], torch.Tensor], batch_size: int) -> int:
    """Bytes that a forward pass of ``batch_size`` images keeps for the backward pass."""
    seen: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if not isinstance(tensor, nn.Parameter):
            storage = tensor.untyped_storage()
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        output = forward(batch_size)  # held, so that no address is used twice
    total = sum(seen.values())
    del output
    return total


def largest_batch(
    step: Callable[[int], torch.Tensor], device: torch.device, *, limit: int = MOST
) -> int:
    """The most images at a time whose forward and backward pass fit into memory.

    ``step(n)`` gives the loss of n images, from which it can go backward. What one image takes
    is counted from the tensors that two passes keep; on a CUDA card the answer is then tried,
    and made smaller until it holds. On a CPU trying would end the process rather than fail.

    Raises:
        TooLittleMemoryError: not even one image fits.
    """
    one, two = saved_bytes(step, 1), saved_bytes(step, 2)
    each = max(two - one, 1)
    # the gradients of the largest activations come on top of what is kept
    batch = int(min(limit, SHARE * free_memory(device) / (1.5 * each)))
    while batch > 0:
        if device.type != "cuda" or _fits(step, batch):
            return batch
        batch = int(batch * 0.8)
    raise TooLittleMemoryError(
        f"one image takes {each / 2**30:.2f} GiB in training, and {free_memory(device) / 2**30:.2f}"
        f" GiB are free on {device}: lower model.image_size or model.width, or set train.amp: auto"
    )


def _fits(step: Callable[[int], torch.Tensor], batch: int) -> bool:
    try:
        step(batch).backward()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return False
    finally:
        torch.cuda.empty_cache()
    return True
