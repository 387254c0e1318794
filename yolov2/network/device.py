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
