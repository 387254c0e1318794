"""In which number format the network computes, and what that needs."""

from contextlib import AbstractContextManager
from typing import Literal

import torch

from yolov2.config.train import TrainConfig
from yolov2.network.device import has_bfloat16

Format = Literal["bf16", "fp16", "off"]
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "off": torch.float32}


def resolve_format(config: TrainConfig, device: torch.device) -> Format:
    """``amp: auto`` as what the hardware computes fast: bf16, else fp16 on CUDA, else off.

    Raises:
        ValueError: fp16 on a device that is no CUDA card.
    """
    if config.amp == "fp16" and device.type != "cuda":
        raise ValueError(
            f"amp: fp16 needs a CUDA card, and the device is {device.type}: use bf16 or off"
        )
    if config.amp != "auto":
        return config.amp
    if has_bfloat16(device):
        return "bf16"
    return "fp16" if device.type == "cuda" else "off"


class Precision:
    """Automatic mixed precision of one training.

    ``scaler`` multiplies the loss so that float16 gradients do not vanish; it does nothing in
    the other formats.
    """

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        self.device = device
        self.format = resolve_format(config, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.format == "fp16")
        if device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = config.tf32
            torch.backends.cudnn.allow_tf32 = config.tf32

    @property
    def dtype(self) -> torch.dtype:
        """The type that the network's products are computed in."""
        return DTYPES[self.format]

    def autocast(self) -> AbstractContextManager[None]:
        """Inside, the network computes in ``format``."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.format != "off")
