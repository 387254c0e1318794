"""Settings of the training: loss, optimiser, what to do when a step fails."""

from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

from yolov2.config.augment import AugmentConfig
from yolov2.config.section import Section, require, require_between


@dataclass(frozen=True, kw_only=True)
class LossConfig(Section):
    """Weights of the loss terms and the rules of the targets.

    ``lambda_coord``, ``lambda_noobj`` (objectness where there is no object) and ``lambda_class``
    are the weights; what overlaps an object by more than ``ignore_iou`` counts as neither object
    nor none. ``objectness_target`` is 1 where there is an object, or the predicted box's IoU.
    ``label_smoothing`` takes this share of the class target away from the box's class and
    spreads it evenly over all classes.
    """

    lambda_coord: float = 5.0
    lambda_noobj: float = 0.5
    lambda_class: float = 1.0
    ignore_iou: float = 0.6
    objectness_target: Literal["one", "iou"] = "one"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        for name in ("lambda_coord", "lambda_noobj", "lambda_class"):
            require_between(name, self.__dict__[name], 0.0, 1e6)
        require_between("ignore_iou", self.ignore_iou, 0.0, 1.0)
        require_between("label_smoothing", self.label_smoothing, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class MultiScaleConfig(Section):
    """The input size changes while the network is trained.

    Every ``every`` optimiser steps (0: never) a size is drawn among the multiples of 32 from
    ``smallest`` to ``largest``, both as shares of ``model.image_size``: 320 to 640 at 640.
    """

    every: int = 10
    smallest: float = 0.5
    largest: float = 1.0

    def __post_init__(self) -> None:
        require_between("every", self.every, 0, 1_000_000)
        require_between("smallest", self.smallest, 0.1, 1.0)
        require_between("largest", self.largest, 1.0, 4.0)


@dataclass(frozen=True, kw_only=True)
class FailureConfig(Section):
    """What to do when a step fails.

    ``on_nan`` is a loss or gradient that is not finite: stop, or go back to the newest
    checkpoint with the learning rate times ``rollback_lr``, at most ``rollbacks`` times.
    ``on_oom`` is too little memory: stop, or halve the images computed at a time and
    accumulate their gradients, which leaves the optimiser's batch as it was.
    """

    on_nan: Literal["stop", "rollback"] = "stop"
    rollbacks: int = 3
    rollback_lr: float = 0.5
    on_oom: Literal["stop", "halve"] = "stop"

    def __post_init__(self) -> None:
        require_between("rollbacks", self.rollbacks, 1, 1000)
        require_between("rollback_lr", self.rollback_lr, 1e-6, 1.0)


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Section):
    """How the network is trained: optimiser, learning rate, loss, augmentation.

    ``batch_size`` is the number of images computed at a time, by all ``devices`` together
    (``auto``: what fits into memory), ``nominal_batch`` the number that an optimiser step learns
    from, its gradients accumulated over several such batches; 0 stands for ``batch_size``. So
    the number of devices changes no step, but for the statistics of batch norm, which each
    device takes of its own share unless ``sync_batch_norm``.

    Over the first ``warmup_epochs`` the learning rate rises linearly from zero. Then, with
    ``lr_schedule: steps``, it is multiplied by ``lr_gamma`` after each of the epochs
    ``lr_steps``; with ``linear`` it falls in a straight line and with ``cosine`` in half a
    cosine to ``lr_final`` times ``lr`` at the end. ``momentum`` is AdamW's first beta;
    ``weight_decay`` leaves norms and biases alone. ``clip_norm`` bounds the norm of the gradient;
    0 leaves it as it is.

    ``ema_decay`` above 0 keeps a moving average of the weights, which is what is validated and
    kept. ``patience`` ends the training after so many epochs without a better AP (0: never).

    ``amp`` computes the network in bfloat16 or float16, weights and loss stay float32; ``auto``
    takes what the hardware has. ``tf32`` allows CUDA cards to round float32 products,
    ``channels_last`` is a memory layout, ``compile`` is ``torch.compile``.

    ``validate_every`` is the number of epochs between two measurements on the val split. The same
    ``seed`` gives the same weights on the same kind of processor with as many threads and devices.
    """

    epochs: int = 160
    batch_size: int | Literal["auto"] = 16
    nominal_batch: int = 0
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.001
    lr_schedule: Literal["steps", "linear", "cosine"] = "steps"
    lr_steps: tuple[int, ...] = (60, 90)
    lr_gamma: float = 0.1
    lr_final: float = 0.0
    warmup_epochs: float = 3.0
    momentum: float = 0.9
    weight_decay: float = 0.0005
    clip_norm: float = 35.0
    ema_decay: float = 0.0
    patience: int = 0
    amp: Literal["auto", "bf16", "fp16", "off"] = "auto"
    tf32: bool = True
    channels_last: bool = True
    compile: bool = False
    validate_every: int = 5
    seed: int = 0
    devices: int = 1
    sync_batch_norm: bool = False
    multi_scale: MultiScaleConfig = field(default_factory=MultiScaleConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    failure: FailureConfig = field(default_factory=FailureConfig)

    def __post_init__(self) -> None:
        require_between("epochs", self.epochs, 1, 1_000_000)
        if self.batch_size != "auto":
            require_between("batch_size", self.batch_size, 1, 1_000_000)
        require_between("nominal_batch", self.nominal_batch, 0, 1_000_000)
        require(isfinite(self.lr) and self.lr > 0, f"lr must be positive, not {self.lr:g}")
        require(
            list(self.lr_steps) == sorted(set(self.lr_steps)) and min(self.lr_steps, default=1) > 0,
            f"lr_steps must be rising epochs, not {list(self.lr_steps)}",
        )
        for name in ("lr_gamma", "lr_final", "weight_decay"):
            require_between(name, self.__dict__[name], 0.0, 1.0)
        require_between("warmup_epochs", self.warmup_epochs, 0.0, 1_000_000)
        for name in ("momentum", "ema_decay"):
            require_between(name, self.__dict__[name], 0.0, 0.999999)
        require_between("clip_norm", self.clip_norm, 0.0, 1e9)
        require_between("patience", self.patience, 0, 1_000_000)
        require_between("validate_every", self.validate_every, 1, 1_000_000)
        require_between("seed", self.seed, 0, 2**32 - 1)
        require_between("devices", self.devices, 1, 1024)
        require(
            self.devices == 1 or (self.failure.on_oom == "stop" and self.batch_size != "auto"),
            "on_oom: halve and batch_size: auto work on one device only: set devices to 1, or give"
            " batch_size a number and on_oom: stop",
        )


def without_effect(config: TrainConfig, *, images: int, processes: int) -> list[str]:
    """What is set and changes nothing in a training of these lengths, a sentence each.

    ``images`` are those of the train split, ``processes`` those that train together.
    """
    augment, epochs, said = config.augment, config.epochs, []
    combining = [f"{n} {v:g}" for n in ("mosaic", "mixup") if (v := augment.__dict__[n]) > 0]
    names, several = " and ".join(combining), len(combining) > 1
    if combining and augment.mosaic_off_epochs >= epochs:
        said.append(
            f"{names} change{'' if several else 's'} nothing: mosaic_off_epochs is"
            f" {augment.mosaic_off_epochs} and epochs is {epochs}, so no epoch has"
            f" {'them' if several else 'it'}"
        )
    elif combining and images == 1:
        said.append(
            f"{names} combine{'' if several else 's'} the only training image with itself:"
            f" {'they need' if several else 'it needs'} others"
        )
    if config.lr_schedule == "steps" and config.lr_steps and config.lr_steps[0] >= epochs:
        said.append(
            f"lr_steps {list(config.lr_steps)} change nothing: epochs is {epochs}, so the learning"
            " rate never falls"
        )
    if config.patience > 0 and config.patience >= epochs - 1:
        said.append(
            f"patience {config.patience} changes nothing: epochs is {epochs}, so there is nothing"
            " left to stop"
        )
    if config.sync_batch_norm and processes == 1:
        said.append("sync_batch_norm changes nothing: one process trains")
    return said
