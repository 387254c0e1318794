"""Memory that does not suffice: recognised, explained, and a batch size found that fits."""

import os
from collections.abc import Callable

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

SHARE = 0.7
"""Of the free memory, what a training may take for the activations of a batch."""
MOST = 1024
"""Images at a time beyond which nothing gets faster."""


class TooLittleMemoryError(ValueError):
    """The memory does not suffice; the text says for what, and what helps."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch's allocator, on a card or of the CPU, found no memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "DefaultCPUAllocator" in text or "out of memory" in text
    )


def explain(device: torch.device, batch_size: int, side: int) -> str:
    """The figures of an out-of-memory error, and the advice that helps most first."""
    figures = f"{free_memory(device) / 2**30:.1f} GiB are free"
    if device.type == "cuda":
        allocated = torch.cuda.max_memory_allocated(device) / 2**30
        total = torch.cuda.get_device_properties(device).total_memory / 2**30
        figures = f"tensors took {allocated:.1f} of {total:.1f} GiB, and {figures}"
    half = max(1, batch_size // 2)
    return (
        f"out of memory on {device}: {batch_size} images of {side}x{side} pixels at a time do not"
        f" fit ({figures}). What helps: train.batch_size: {half} with train.nominal_batch:"
        f" {batch_size} (same optimiser step, gradients accumulated; train.failure.on_oom: halve"
        " does it by itself), a smaller model.image_size or train.multi_scale.largest, train.amp:"
        " auto, a smaller model.width"
    )


def free_memory(device: torch.device) -> int:
    """Bytes that can be allocated without another program losing its memory."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + cached)
    with open("/proc/meminfo", encoding="ascii") as file:
        lines = dict(line.split(":", 1) for line in file)
    return min(int(lines["MemAvailable"].split()[0]) * 1024, _control_group_memory())


def _control_group_memory() -> int:
    """Bytes that the container may still take; very many where it has no limit."""
    folder = "/sys/fs/cgroup"
    try:
        with open(os.path.join(folder, "memory.max"), encoding="ascii") as file:
            most = file.read().strip()
        with open(os.path.join(folder, "memory.current"), encoding="ascii") as file:
            used = int(file.read())
    except FileNotFoundError:
        return 2**62
    return 2**62 if most == "max" else max(0, int(most) - used)


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
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return False
    finally:
        torch.cuda.empty_cache()
    return True
