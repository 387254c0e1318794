"""Networks in torch's own formats: TorchScript, and the ``.pt2`` of ``torch.export``."""

import warnings
import zipfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from yolov2.runtime.graphs import torchscript_allowed
from yolov2.runtime.manifest import KEY, Manifest

if TYPE_CHECKING:
    from torch.export import ExportedProgram


def write_torchscript(module: nn.Module, example: Tensor, manifest: Manifest, path: Path) -> None:
    """Trace ``module`` for the CPU and write it to ``path``.

    The trace is frozen: weights become constants, and the grid stays on the device it was
    traced on.
    """
    buffer = BytesIO()
    with torchscript_allowed(), torch.no_grad():
        # the proof runs the file: a check of the trace would do it once more
        frozen = torch.jit.freeze(torch.jit.trace(module, (example,), check_trace=False))
        torch.jit.save(frozen, buffer, _extra_files={KEY: manifest.to_json().encode()})
    path.write_bytes(_of_the_model(buffer))


def write_pt2(program: "ExportedProgram", manifest: Manifest, path: Path) -> None:
    """Write ``program`` to ``path``."""
    buffer = BytesIO()
    with warnings.catch_warnings():
        # weights whose channels lie last do not look complete to it; on the CPU they are
        warnings.filterwarnings("ignore", "No complete tensor found in the group", UserWarning)
        torch.export.save(program, buffer, extra_files={KEY: manifest.to_json()})
    path.write_bytes(buffer.getvalue())


MACHINE = (".debug_pkl", ".data/serialization_id")


def _of_the_model(archive: BytesIO) -> bytes:
    """The TorchScript archive less what is of this machine and not of the model.

    These are the ``.debug_pkl`` files, which name files, and ``serialization_id``, a hash of such
    names that torch reads only to tell of.
    """
    result = BytesIO()
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(result, "w") as new:
        for info in old.infolist():
            if not info.filename.endswith(MACHINE):
                new.writestr(zipfile.ZipInfo(info.filename), old.read(info))
    return result.getvalue()
