"""Traced networks as ONNX: the graph, its metadata, its file.

The graphs take ``images`` float32 (batch, 3, height, width), RGB in [0, 1]. They hold no path of
the machine that wrote them; the same weights give the same bytes.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from yolov2.runtime.manifest import INPUT, KEY, OUTPUT, Manifest

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch.export import ExportedProgram

OPSET = 18
"""The lowest that torch's exporter writes."""

IR_VERSION = 8
"""The lowest that has this opset; torch writes 10, which asks for ONNX Runtime 1.18."""

ONNX_RUNTIME = "1.15"
"""The oldest ONNX Runtime that was seen to compute the graphs (the oldest for Python 3.11)."""


class ExportError(ValueError):
    """An exported file that cannot be trusted; the text says which, by how much and the limit."""


def to_onnx(program: "ExportedProgram") -> "ModelProto":
    """The program as an ONNX model from ``images`` to ``predictions``."""
    exported = torch.onnx.export(
        program,
        dynamo=True,
        verbose=False,
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=[OUTPUT],
    )
    assert exported is not None, "torch.onnx.export(dynamo=True) returns the program"
    model = exported.model_proto
    _strip(model)
    _name_sizes(model)
    return model


def write_onnx(model: "ModelProto", manifest: Manifest, path: Path) -> None:
    """Write a copy of ``model`` with ``manifest`` to ``path``.

    Raises:
        onnx.checker.ValidationError: a mistake of ours.
    """
    import onnx

    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    copied.ir_version = IR_VERSION
    onnx.helper.set_model_props(copied, {KEY: manifest.to_json()})
    onnx.checker.check_model(copied)
    path.write_bytes(copied.SerializeToString(deterministic=True))


def _strip(model: "ModelProto") -> None:
    """Remove the exporter's notes: stack traces name files of this machine."""
    graph = model.graph
    # ONNX Runtime finds them out itself; these would bear the names of torch's symbols
    del graph.value_info[:]
    for item in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        item.ClearField("doc_string")
        item.ClearField("metadata_props")


def _name_sizes(model: "ModelProto") -> None:
    """Give the sizes that vary names a person understands."""
    (images,), (predictions,) = model.graph.input, model.graph.output
    wanted = {0: "batch", 2: "height", 3: "width"}
    for axis, dim in enumerate(images.type.tensor_type.shape.dim):
        if dim.dim_param:
            dim.dim_param = wanted[axis]
    dims = predictions.type.tensor_type.shape.dim
    names = ("batch", "boxes", "") if len(dims) == 3 else ("batch", "", "rows", "columns", "")
    for name, dim in zip(names, dims, strict=True):
        if name:
            dim.dim_param = name
