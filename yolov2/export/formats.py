"""The files that a checkpoint can become: what each is called, holds, and how it is written."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from yolov2.config.export import FormatName
from yolov2.export.onnx_graph import OPSET, to_onnx, write_onnx
from yolov2.export.proof import FP32, Precision
from yolov2.export.quantise import quantise
from yolov2.export.source import Source
from yolov2.export.suppression import with_suppression
from yolov2.export.torch_graph import write_pt2, write_torchscript
from yolov2.runtime.manifest import Manifest, Variant

FP16 = Precision(name="fp16", rounding=(4.0, 0.05))
BF16 = Precision(name="bf16", rounding=(16.0, 0.25))
INT8 = Precision(name="int8")
"""Nothing is promised for a single box."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """How files of one kind are written; ``opset`` is that of ONNX, ``None`` of other files."""

    name: FormatName
    file: str
    write: Callable[[Source, Manifest, Path], None]
    precision: Precision = FP32
    variant: Variant = "decoded"
    opset: int | None = None

    def manifest(self, manifest: Manifest) -> Manifest:
        """What a file of this kind says about itself."""
        return replace(manifest, precision=self.precision.name, variant=self.variant)


def _onnx(source: Source, manifest: Manifest, path: Path) -> None:
    write_onnx(source.onnx, manifest, path)


def _onnx_raw(source: Source, manifest: Manifest, path: Path) -> None:
    write_onnx(to_onnx(source.traced(source.module(decoded=False))), manifest, path)


def _onnx_nms(source: Source, manifest: Manifest, path: Path) -> None:
    write_onnx(with_suppression(source.onnx, manifest), manifest, path)


def _onnx_fp16(source: Source, manifest: Manifest, path: Path) -> None:
    write_onnx(to_onnx(source.traced(source.module(torch.float16))), manifest, path)


def _onnx_int8(source: Source, manifest: Manifest, path: Path) -> None:
    write_onnx(quantise(source.onnx, source.calibration()), manifest, path)


def _torchscript(source: Source, manifest: Manifest, path: Path) -> None:
    write_torchscript(source.module(), source.example(), manifest, path)


def _pt2(source: Source, manifest: Manifest, path: Path) -> None:
    write_pt2(source.program, manifest, path)


def _pt2_bf16(source: Source, manifest: Manifest, path: Path) -> None:
    write_pt2(source.traced(source.module(torch.bfloat16)), manifest, path)


FORMATS: dict[FormatName, Format] = {
    kind.name: kind
    for kind in (
        Format(name="onnx", file="model.onnx", write=_onnx, opset=OPSET),
        Format(name="onnx-raw", file="model.raw.onnx", write=_onnx_raw, variant="raw", opset=OPSET),
        Format(name="onnx-nms", file="model.nms.onnx", write=_onnx_nms, variant="nms", opset=OPSET),
        Format(
            name="onnx-fp16",
            file="model.fp16.onnx",
            write=_onnx_fp16,
            precision=FP16,
            opset=OPSET,
        ),
        Format(
            name="onnx-int8",
            file="model.int8.onnx",
            write=_onnx_int8,
            precision=INT8,
            opset=OPSET,
        ),
        Format(name="torchscript", file="model.torchscript", write=_torchscript),
        Format(name="pt2", file="model.pt2", write=_pt2),
        Format(name="pt2-bf16", file="model.bf16.pt2", write=_pt2_bf16, precision=BF16),
    )
}
