"""What a network costs: layer table, parameters, multiply-accumulates, grid.

Letters of the shapes: C channels, H W rows and columns of a map.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from yolov2.config.model import STRIDE
from yolov2.network.yolov2 import YOLOv2


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One convolution, pooling or passthrough: its output (C, H, W), parameters, MACs."""

    name: str
    kind: str
    output: tuple[int, int, int]
    parameters: int
    macs: int


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The figures of a network at one input size.

    ``gmac`` counts the convolutions' multiply-accumulates in 1e9, as the literature does
    (darknet prints twice that as "BFLOPs").
    """

    layers: tuple[Layer, ...]
    parameters: int
    gmac: float
    grid: tuple[int, int]
    max_detections: int
    image_size: int
    num_classes: int
    width: float


def summarise(network: YOLOv2, image_size: int) -> Summary:
    """Measure ``network`` by sending one empty image (1, 3, image_size, image_size) through it.

    Raises:
        ValueError: ``image_size`` is not a multiple of 32.
    """
    modules = dict(network.named_modules())
    outputs: dict[str, torch.Size] = {}
    hooks = [
        module.register_forward_hook(lambda m, _, out, name=name: outputs.update({name: out.shape}))
        for name, module in modules.items()
        if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.PixelUnshuffle)
    ]
    was_training = network.training
    try:
        with torch.no_grad():
            raw = network.eval()(torch.zeros(1, 3, image_size, image_size, device=_device(network)))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    layers = tuple(_layer(name, modules, shape) for name, shape in outputs.items())
    cells = image_size // STRIDE
    return Summary(
        layers=layers,
        parameters=sum(p.numel() for p in network.parameters()),
        gmac=sum(layer.macs for layer in layers) / 1e9,
        grid=(cells, cells),
        max_detections=raw[0, ..., 0].numel(),
        image_size=image_size,
        num_classes=network.num_classes,
        width=network.width,
    )


def _layer(name: str, modules: Mapping[str, nn.Module], shape: torch.Size) -> Layer:
    """The figures of one layer, a convolution with the batch norm that follows it."""
    module = modules[name]
    channels, height, width = shape[1:]
    parameters = sum(p.numel() for p in module.parameters())
    macs = 0
    if isinstance(module, nn.Conv2d):
        macs = module.weight.numel() * height * width
        norm = modules.get(name.rsplit(".", 1)[0] + ".1")
        if isinstance(norm, nn.BatchNorm2d):
            parameters += sum(p.numel() for p in norm.parameters())
    return Layer(
        name=name,
        kind=_kind(module),
        output=(channels, height, width),
        parameters=parameters,
        macs=macs,
    )


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


def _kind(module: nn.Module) -> str:
    if isinstance(module, nn.Conv2d):
        side = module.kernel_size[0]
        return f"conv {side}x{side}"
    return "max-pool 2x2" if isinstance(module, nn.MaxPool2d) else "space-to-depth 2"
