"""What is exported: the network with its batch norms folded, traced once for several formats.

Letters of the shapes: B images, S side of the canvas in pixels, N = A*H*W boxes, C classes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from yolov2.config.model import STRIDE
from yolov2.export.onnx_graph import to_onnx
from yolov2.network.decode import DecodedYOLOv2
from yolov2.network.inference import InferenceYOLOv2
from yolov2.network.yolov2 import YOLOv2
from yolov2.runtime.graphs import Images
from yolov2.runtime.manifest import Manifest

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch.export import ExportedProgram


@dataclass(frozen=True, kw_only=True)
class Source:
    """A network on the CPU, what its files say about it, and images to calibrate int8 on.

    ``calibration`` yields images (1, 3, S, S), letterboxed as they are for detection.
    """

    network: YOLOv2
    manifest: Manifest
    calibration: Callable[[], Iterator[Images]]

    def module(self, dtype: torch.dtype = torch.float32, *, decoded: bool = True) -> nn.Module:
        """The network in ``dtype``, float32 in and out, decoded or raw."""
        inner = InferenceYOLOv2(self.network, dtype)
        return DecodedYOLOv2(inner).eval() if decoded else inner.eval()

    def example(self) -> Tensor:
        """Images (2, 3, 64, 96): torch.export takes a size of one for a constant.

        Small, because a ``.pt2`` keeps them.
        """
        return torch.zeros(2, 3, 2 * STRIDE, 3 * STRIDE)

    def traced(self, module: nn.Module) -> "ExportedProgram":
        """``module`` as a program for any number of images of any multiple of 32 pixels."""
        batch, rows, columns = (torch.export.Dim(name) for name in ("batch", "rows", "columns"))
        sizes = ({0: batch, 2: STRIDE * rows, 3: STRIDE * columns},)
        with torch.no_grad():
            program = torch.export.export(module, (self.example(),), dynamic_shapes=sizes)
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # names files of this machine
        return program

    @cached_property
    def program(self) -> "ExportedProgram":
        """The decoded network in float32."""
        return self.traced(self.module())

    @cached_property
    def onnx(self) -> "ModelProto":
        """The same as ONNX, still without a manifest; not to be changed."""
        return to_onnx(self.program)
