"""Which device to compute on."""

import torch


def resolve_device(name: str) -> torch.device:
    """``auto`` is the first CUDA card if there is one, else the CPU; other names are torch's.

    Raises:
        ValueError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device '{name}' cannot be used here ({reason}); try 'auto'") from None
    return device


def has_bfloat16(device: torch.device) -> bool:
    """Whether ``device`` computes in bfloat16 by hardware, which is faster than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # the processor's own flag: oneDNN emulates bfloat16 without it, slower than float32
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
