"""A loss or gradient that is not finite: where it began."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

SHOWN = 5
"""Layers and images that the text names."""


class NonFiniteLossError(ValueError):
    """The loss or a gradient became NaN or infinite; the text names step, images, layers."""


def largest_activations(
    network: nn.Module, forward: Callable[[], object]
) -> list[tuple[str, float]]:
    """Layers by the greatest absolute value of their output, NaN before all, greatest first."""
    greatest: dict[str, float] = {}

    def hook(name: str) -> Callable[[nn.Module, object, object], None]:
        def note(module: nn.Module, given: object, output: object) -> None:
            if isinstance(output, Tensor) and output.numel():
                greatest[name] = float(output.detach().float().abs().max())

        return note

    leaves = [(n, m) for n, m in network.named_modules() if not list(m.children())]
    handles = [module.register_forward_hook(hook(name)) for name, module in leaves]
    try:
        with torch.no_grad():
            forward()
    finally:
        for handle in handles:
            handle.remove()

    # a stable sort: of layers that are all NaN the first comes first, where it began
    return sorted(greatest.items(), key=magnitude, reverse=True)


def magnitude(layer: tuple[str, float]) -> float:
    """How large an activation of ``largest_activations`` is: NaN compares as nothing does."""
    return math.inf if math.isnan(layer[1]) else layer[1]


def explain(
    *,
    epoch: int,
    step: int,
    terms: Mapping[str, float],
    gradient_norm: float,
    activations: Sequence[tuple[str, float]],
    images: Sequence[str],
) -> str:
    """One sentence for people; ``epoch`` and ``step`` count from 1."""
    losses = ", ".join(f"{name} {value:g}" for name, value in terms.items())
    layers = ", ".join(f"{name} {value:g}" for name, value in activations[:SHOWN])
    names = ", ".join(images[:SHOWN]) + (" ..." if len(images) > SHOWN else "")
    what = "gradient" if math.isfinite(terms["loss"]) else "loss"
    value = terms["loss"] if what == "loss" else gradient_norm
    return (
        f"the {what} became {value:g} in epoch {epoch}, step {step} ({losses}; norm of the"
        f" gradient {gradient_norm:g}; largest activations: {layers}). Checkpoints from"
        " before it stay. Lower train.lr, raise train.warmup_epochs, set train.amp: off or"
        f" train.failure.on_nan: rollback, and look at the boxes of the step's images: {names}"
    )
