"""Checkpoint -> ONNX and TorchScript, with decoding and all metadata inside the file.

Letters of the shapes: B images (dynamic), S side of the canvas in pixels, N = A*H*W boxes,
C classes. Both graphs take ``images`` float32 (B, 3, S, S), RGB in [0, 1], and give
``predictions`` (B, N, 5+C) as ``yolov2.network.decode.decode`` describes.

Files hold no path of the machine that wrote them. The same weights give the same ONNX bytes.
"""

import copy
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from yolov2.detection.manifest import INPUT, KEY, OUTPUT, Manifest

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 18
"""What torch's exporter writes without converting: ONNX Runtime 1.14 (2023) and later read it."""


class ExportError(ValueError):
    """An exported graph that cannot be trusted; the text says which, by how much and the limit."""


def export_onnx(network: nn.Module, manifest: Manifest, path: Path) -> None:
    """Write ``network`` (images -> decoded predictions, on the CPU) as ONNX to ``path``."""
    import onnx

    program = torch.onnx.export(
        _folded(network),
        (_example(manifest),),
        dynamo=True,
        verbose=False,
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    assert program is not None, "torch.onnx.export(dynamo=True) returns the program"
    model = program.model_proto
    _strip(model)
    onnx.helper.set_model_props(model, {KEY: manifest.to_json()})
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def export_torchscript(network: nn.Module, manifest: Manifest, path: Path) -> None:
    """Write ``network`` (images -> decoded predictions) as TorchScript for the CPU to ``path``.

    The trace is frozen: weights become constants, and the grid stays on the device it was
    traced on.
    """
    buffer = BytesIO()
    with torchscript_allowed(), torch.no_grad():
        traced = torch.jit.trace(_folded(network), (_example(manifest),))
        frozen = torch.jit.freeze(traced)
        torch.jit.save(frozen, buffer, _extra_files={KEY: manifest.to_json().encode()})
    path.write_bytes(_without_debug_files(buffer))


@contextmanager
def torchscript_allowed() -> Iterator[None]:
    """Silence the deprecation of ``torch.jit``, and nothing else."""
    with warnings.catch_warnings():
        # TorchScript is asked for by those who deploy with it; torch 2.14 still supports it
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", FutureWarning)
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        yield


def _folded(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode with the batch norms folded into the convolutions before them.

    The exporters would fold as well, but take twice the time to get there.
    """
    copied = copy.deepcopy(network).eval()
    for module in copied.modules():
        if isinstance(module, nn.LeakyReLU):
            module.inplace = False
        if isinstance(module, nn.Sequential):
            for i, (first, second) in enumerate(pairwise(list(module))):
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    module[i], module[i + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
    return copied


def _example(manifest: Manifest) -> Tensor:
    """Images (2, 3, S, S): torch.export takes a batch of one for a constant."""
    return torch.zeros(2, 3, manifest.image_size, manifest.image_size)


def _strip(model: "ModelProto") -> None:
    """Remove the exporter's notes: stack traces name files of this machine."""
    graph = model.graph
    for item in (model, graph, *graph.node, *graph.input, *graph.output):
        item.ClearField("doc_string")
        item.ClearField("metadata_props")
    for item in (*graph.value_info, *graph.initializer):
        item.ClearField("doc_string")
        item.ClearField("metadata_props")


def _without_debug_files(archive: BytesIO) -> bytes:
    """The TorchScript archive less its ``.debug_pkl`` files, which name files of this machine."""
    result = BytesIO()
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(result, "w") as new:
        for info in old.infolist():
            if not info.filename.endswith(".debug_pkl"):
                new.writestr(zipfile.ZipInfo(info.filename), old.read(info))
    return result.getvalue()
