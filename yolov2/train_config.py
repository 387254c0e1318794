"""Settings of the training: loss, augmentation, optimiser. See ``config.py`` for the others."""

from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

from yolov2.section import Section, require, require_between


@dataclass(frozen=True, kw_only=True)
class LossConfig(Section):
    """Weights of the loss terms and the rules of the objectness target."""

    lambda_coord: float = 5.0
    lambda_noobj: float = 0.5
    lambda_class: float = 1.0
    ignore_iou: float = 0.6
    objectness_target: Literal["one", "iou"] = "one"

    def __post_init__(self) -> None:
        for name in ("lambda_coord", "lambda_noobj", "lambda_class"):
            require_between(name, self.__dict__[name], 0.0, 1e6)
        require_between("ignore_iou", self.ignore_iou, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class AugmentConfig(Section):
    """Random changes of the training images.

    ``brightness`` and ``contrast`` are the half-widths of the factor's range around 1;
    ``flip`` is the probability of a horizontal mirror image (0 for digits and letters).
    """

    brightness: float = 0.4
    contrast: float = 0.4
    flip: float = 0.5

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "flip"):
            require_between(name, self.__dict__[name], 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Section):
    """How the network is trained: optimiser, learning rate, loss, augmentation.

    Over the first ``warmup_epochs`` the learning rate rises linearly from zero. Then, with
    ``lr_schedule: steps``, it is multiplied by ``lr_gamma`` after each of the epochs
    ``lr_steps``; with ``linear`` it falls in a straight line to zero at the last epoch.
    ``momentum`` is AdamW's first beta. ``clip_norm`` bounds the norm of the gradient; 0 leaves
    it as it is. ``amp`` computes the network in bfloat16, weights and loss stay float32;
    ``auto`` does so where the hardware has it.
    """

    epochs: int = 160
    batch_size: int = 16
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.001
    lr_schedule: Literal["steps", "linear"] = "steps"
    lr_steps: tuple[int, ...] = (60, 90)
    lr_gamma: float = 0.1
    warmup_epochs: float = 3.0
    momentum: float = 0.9
    weight_decay: float = 0.0005
    clip_norm: float = 35.0
    amp: Literal["auto", "bf16", "off"] = "auto"
    validate_every: int = 5
    seed: int = 0
    device: str = "auto"
    num_workers: int = 4
    loss: LossConfig = field(default_factory=LossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        require_between("epochs", self.epochs, 1, 1_000_000)
        require_between("batch_size", self.batch_size, 1, 1_000_000)
        require(isfinite(self.lr) and self.lr > 0, f"lr must be positive, not {self.lr:g}")
        require(
            list(self.lr_steps) == sorted(set(self.lr_steps)) and min(self.lr_steps, default=1) > 0,
            f"lr_steps must be rising epochs, not {list(self.lr_steps)}",
        )
        require_between("lr_gamma", self.lr_gamma, 0.0, 1.0)
        require_between("warmup_epochs", self.warmup_epochs, 0.0, 1_000_000)
        require_between("momentum", self.momentum, 0.0, 0.9999)
        require_between("weight_decay", self.weight_decay, 0.0, 1.0)
        require_between("clip_norm", self.clip_norm, 0.0, 1e9)
        require_between("validate_every", self.validate_every, 1, 1_000_000)
        require_between("seed", self.seed, 0, 2**32 - 1)
        require_between("num_workers", self.num_workers, 0, 1024)
