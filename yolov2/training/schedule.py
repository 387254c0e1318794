"""The optimiser and its learning rate."""

from math import cos, pi

import torch
from torch import nn

from yolov2.config.train import TrainConfig


def build_optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """SGD with momentum, or AdamW; weight decay on convolution weights, not on norms and biases."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    # fused: one pass over the weights instead of one for each term of the update
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr, betas=(config.momentum, 0.99), fused=True)
    return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, fused=True)


def learning_rate(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """Learning rate of optimiser step ``step`` (0-based).

    It rises linearly over the first ``warmup_epochs``; see ``TrainConfig`` for what follows. A
    function of the step alone, so that a resumed training has the rate of the uninterrupted one.
    """
    if config.lr_schedule == "steps":
        passed = sum(step // steps_per_epoch >= boundary for boundary in config.lr_steps)
        rate = config.lr * config.lr_gamma**passed
    else:
        done = step / (config.epochs * steps_per_epoch)  # in [0, 1)
        left = 1 - done if config.lr_schedule == "linear" else (1 + cos(pi * done)) / 2
        rate = config.lr * (config.lr_final + (1 - config.lr_final) * left)
    warmup_steps = config.warmup_epochs * steps_per_epoch
    return rate * min(1.0, (step + 1) / warmup_steps) if warmup_steps > 0 else rate
