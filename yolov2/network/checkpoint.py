"""Checkpoints: everything that inference needs, and what training needs to go on.

A checkpoint is a dictionary of plain values and tensors, so that
``torch.load(path, weights_only=True)`` reads it: nothing in it can run code. It holds a checksum
of its own content, so that a copy of it can be trusted wherever it has been.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from yolov2.config.section import require
from yolov2.network.yolov2 import YOLOv2

FORMAT = 2
READABLE = (1, FORMAT)
"""Format 1 had no checksum."""


@dataclass(frozen=True, kw_only=True)
class TrainedDetector:
    """A trained network with what is needed to use it.

    ``network`` is in evaluation mode; ``image_size`` is the side it was trained for, in pixels.
    """

    network: YOLOv2
    class_names: tuple[str, ...]
    image_size: int

    @property
    def anchors(self) -> tuple[tuple[float, float], ...]:
        """Widths and heights in grid cells."""
        return tuple((w, h) for w, h in self.network.anchors.tolist())


def write_atomically(path: Path, content: Any) -> None:
    """``torch.save`` beside ``path``, flushed to disk, then renamed: never half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            try:
                torch.save(content, file)
            except RuntimeError as error:  # how torch's writer says that the disk is full
                free = shutil.disk_usage(path.parent).free / 2**20
                reason = f"{free:.0f} MiB are free on its disk: {str(error).splitlines()[0]}"
                raise OSError(f"cannot write {path}: {reason}") from error
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def save_checkpoint(
    path: Path,
    network: YOLOv2,
    *,
    class_names: tuple[str, ...],
    image_size: int,
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write ``path`` atomically; ``training`` is the state to resume from, if any."""
    state = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    content = {
        "format": FORMAT,
        "architecture": {
            "name": "yolov2",
            "num_classes": network.num_classes,
            "width": network.width,
            "anchors": network.anchors.tolist(),
        },
        "class_names": list(class_names),
        "image_size": image_size,
        "model": state,
        "training": None if training is None else dict(training),
    }
    write_atomically(path, content | {"sha256": content_hash(content)})


def content_hash(content: object) -> str:
    """sha256 over plain values and tensors, nested: types, sizes and bytes of all of them."""
    digest = hashlib.sha256()

    def add(item: object) -> None:
        if isinstance(item, Tensor):
            values = item.detach().cpu().contiguous()
            digest.update(f"{values.dtype}{tuple(values.shape)}".encode())
            digest.update(values.reshape(-1).view(torch.uint8).numpy().data)
        elif isinstance(item, Mapping):
            for key, value in item.items():
                digest.update(f"{{{key!r}".encode())
                add(value)
        elif isinstance(item, list | tuple):
            digest.update(f"[{len(item)}".encode())
            for value in item:
                add(value)
        else:
            digest.update(repr(item).encode() + b";")

    add(content)
    return digest.hexdigest()


def require_checkpoint(path: Path) -> None:
    """Raise ``ValueError`` unless ``path`` is a file with the name of a checkpoint."""
    require(path.is_file(), f"no checkpoint at {path}")
    require(path.suffix == ".pt", f"{path} is no checkpoint: its name must end in .pt")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint.

    Raises:
        ValueError: the file is absent, unreadable, or no checkpoint of this project.
    """
    require(path.is_file(), f"no checkpoint at {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch.load raises half a dozen types for a damaged or foreign file, with texts that
        # advise to load it unsafely
        raise ValueError(
            f"{path} is no readable checkpoint: damaged, or not made by `yolov2 train`"
            f" ({type(error).__name__})"
        ) from error
    require(
        isinstance(content, dict) and content.get("format") in READABLE,
        f"{path} is no checkpoint of this project (format {FORMAT}): make one with `yolov2 train`",
    )
    told = content.pop("sha256", None)
    require(
        told == content_hash(content) or content["format"] == 1,
        f"{path} is damaged: its content does not fit its checksum",
    )
    return dict(content)


def load_detector(path: Path, device: torch.device | str = "cpu") -> TrainedDetector:
    """The network of a checkpoint on ``device``, in evaluation mode, with its class names.

    Raises:
        ValueError: the file is no checkpoint, or its weights do not fit its architecture.
    """
    content = read_checkpoint(path)
    try:
        architecture = content["architecture"]
        network = YOLOv2(
            architecture["num_classes"], architecture["anchors"], width=architecture["width"]
        )
        network.load_state_dict(content["model"])
        class_names, image_size = tuple(content["class_names"]), int(content["image_size"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        # torch lists every weight that does not fit, on a line each
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ValueError(
            f"{path}: the weights do not fit the network, the file is damaged or was changed"
            f" ({type(error).__name__}: {lines[-1][:120] if lines else ''})"
        ) from error
    return TrainedDetector(
        network=network.to(device).eval(), class_names=class_names, image_size=image_size
    )
