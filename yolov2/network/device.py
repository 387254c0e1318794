"""Which device to compute on."""

import warnings

import torch

LONGEST = 120
"""Characters of torch's reason that an error shows."""


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
