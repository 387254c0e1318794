"""Which device to compute on, and what its memory holds."""

import os
import re
import warnings

import torch

LONGEST = 120
"""Characters of torch's reason that an error shows."""

NO_MEMORY = re.compile(
    "DefaultCPUAllocator|out of memory|bad_alloc|could not create a (primitive$|memory)"
)
"""What the errors of torch's allocators and of oneDNN say."""


class TooLittleMemoryError(ValueError):
    """The memory does not suffice; the text says for what, and what helps."""


def use_threads(count: int) -> None:
    """Compute on the processor with so many threads; 0: as many as the environment says.

    Another number adds in another order, which moves the last bits of a sum.
    """
    if count:
        torch.set_num_threads(count)


def resolve_device(name: str) -> torch.device:
    """``auto`` is the first CUDA card if there is one, else the CPU; other names are torch's.

    Raises:
        ValueError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that torch has given up: the error says it
            device = torch.device(name)
            (torch.ones(1, device=device) + 1).item()  # "meta" takes memory and computes nothing
    except Exception as error:
        # what torch only knows by name ends in any type, from ModuleNotFoundError to AssertionError
        raise ValueError(
            f"device '{name}' cannot be used here ({_reason(error)}); try 'auto'"
        ) from None
    return device


def _reason(error: Exception) -> str:
    """The first sentence of what torch says, which may be a list of all it was built with."""
    sentence = " ".join(str(error).split()).split(". ")[0] or type(error).__name__
    return sentence if len(sentence) <= LONGEST else f"{sentence[:LONGEST]}..."


def has_bfloat16(device: torch.device) -> bool:
    """Whether ``device`` computes in bfloat16 by hardware, which is faster than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # the processor's own flag: oneDNN emulates bfloat16 without it, slower than float32
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch, on a card or a CPU, or a library that it computes with, found no memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and NO_MEMORY.search(str(error)) is not None


def memory_figures(device: torch.device) -> str:
    """What the memory of ``device`` holds, as a part of a sentence."""
    figures = f"{free_memory(device) / 2**30:.1f} GiB are free"
    if device.type == "cuda":
        allocated = torch.cuda.max_memory_allocated(device) / 2**30
        total = torch.cuda.get_device_properties(device).total_memory / 2**30
        figures = f"tensors took {allocated:.1f} of {total:.1f} GiB, and {figures}"
    return figures


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
