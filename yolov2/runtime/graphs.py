"""Exported graphs, opened again: NumPy arrays in, decoded predictions out.

Letters of the shapes: B images, S side of the canvas in pixels, N boxes, C classes.
"""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from yolov2.network.decode import decode
from yolov2.network.device import resolve_device
from yolov2.runtime.archive import first_line, require_whole_archive, short
from yolov2.runtime.contents import (
    ForeignContentError,
    read_program,
    read_script,
    require_single_file,
)
from yolov2.runtime.manifest import INPUT, KEY, OUTPUT, Manifest
from yolov2.runtime.session import CPU_ONLY, Session, has_cuda

Images = NDArray[np.float32]
"""(B, 3, S, S), RGB in [0, 1]."""
Predictions = NDArray[np.float32]
"""(B, N, 5+C), as ``yolov2.network.decode.decode`` describes."""
Run = Callable[[Images], Predictions]

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Artefact:
    """An exported file, opened: what it computes and what it says about itself.

    ``run`` decodes the output of a raw graph. ``device`` is where it computes.
    """

    run: Run
    manifest: Manifest
    device: torch.device = CPU


Opener = Callable[[Path, str], Artefact]
"""Opens a file on a device by its name; ``auto``: the best that can run it."""


def open_onnx(path: Path, device: torch.device = CPU) -> Artefact:
    """The ONNX graph in ONNX Runtime.

    Of a graph with suppression the predictions before it are taken.

    Raises:
        ValueError: no ONNX file, one without our manifest or with weights in other files, or
            ONNX Runtime cannot compute on ``device``.
    """
    session, manifest = open_session(path, device)
    anchors = torch.tensor(manifest.anchors)

    def run(images: Images) -> Predictions:
        found = np.asarray(session.run([OUTPUT], {INPUT: images})[0])
        if manifest.variant == "raw":
            return np.asarray(decode(torch.from_numpy(found), anchors).numpy())
        return found

    return Artefact(run=run, manifest=manifest, device=device)


def open_session(path: Path, device: torch.device = CPU) -> tuple[Session, Manifest]:
    """ONNX Runtime's session of a graph of ours, with as many threads as torch uses.

    Raises:
        ValueError: as ``open_onnx``.
    """
    providers: tuple[Any, ...] = CPU_ONLY
    if device.type == "cuda":
        if not has_cuda():
            raise ValueError(
                f"{path} cannot be run on '{device}': this ONNX Runtime has no CUDA; install"
                " onnxruntime-gpu instead of onnxruntime, use --device cpu, or the checkpoint"
            )
        options = {"device_id": device.index or 0}
        providers = (("CUDAExecutionProvider", options), *CPU_ONLY)
    try:
        require_single_file(path)
        session = Session(path, threads=torch.get_num_threads(), providers=providers)
    except ForeignContentError:
        raise
    except Exception as error:
        # a damaged graph ends in any of ONNX Runtime's dozen types, or in Python's own where
        # their text is no text
        raise ValueError(
            f"{path} is no ONNX graph that can be run: damaged, or something else"
            f" ({short(str(error).rpartition(' : ')[2])})"
        ) from error
    return session, Manifest.from_json(session.metadata.get(KEY, ""), path)


def open_torchscript(path: Path) -> Artefact:
    """The TorchScript graph on the CPU.

    Raises:
        ValueError: no TorchScript file, a damaged one, one without our manifest, or one that
            calls more than a network of ours does.
    """
    what = "TorchScript file"
    require_whole_archive(path, what)
    with _one_line(path, what):
        text = read_script(path)
    manifest = Manifest.from_json(text, path)
    with _one_line(path, what), torchscript_allowed():
        module = torch.jit.load(path, map_location="cpu")
    return Artefact(run=run_module(module), manifest=manifest)


def open_pt2(path: Path) -> Artefact:
    """The program that ``torch.export`` wrote, on the CPU.

    Without its guards: they are text that would be run, and they refuse sides of 32 pixels, with
    which the program computes rightly.

    Raises:
        ValueError: no such program, a damaged one, one without our manifest, or one that holds
            what could run code.
    """
    what = "program of torch.export"
    require_whole_archive(path, what)
    with _one_line(path, what):
        text = read_program(path)
    manifest = Manifest.from_json(text, path)
    with _one_line(path, what), _quiet("torch.export"):
        module = torch.export.load(path).module(check_guards=False)
    return Artefact(run=run_module(module), manifest=manifest)


def _onnx_on(path: Path, device: str) -> Artefact:
    where = resolve_device(device)
    if device == "auto" and where.type == "cuda" and not has_cuda():
        where = CPU
    return open_onnx(path, where)


def _for_cpu(open_graph: Callable[[Path], Artefact]) -> Opener:
    def opener(path: Path, device: str) -> Artefact:
        if device != "auto" and resolve_device(device).type != "cpu":
            raise ValueError(
                f"{path} was exported for the CPU: on '{device}' use the checkpoint (.pt) or an"
                " .onnx"
            )
        return open_graph(path)

    return opener


GRAPHS: dict[str, Opener] = {
    ".onnx": _onnx_on,
    ".torchscript": _for_cpu(open_torchscript),
    ".pt2": _for_cpu(open_pt2),
}
"""What opens an exported graph, by the suffix of its file; the best choice first."""


def run_module(network: nn.Module) -> Run:
    """A torch module on the CPU as a function of NumPy arrays."""

    def run(images: Images) -> Predictions:
        with torch.inference_mode():
            return np.asarray(network(torch.from_numpy(images)).numpy())

    return run


@contextmanager
def _one_line(path: Path, what: str) -> Iterator[None]:
    """A foreign archive ends in any of a dozen types, from KeyError to AssertionError."""
    try:
        yield
    except ForeignContentError:
        raise
    except Exception as error:
        raise ValueError(f"{path} is no {what} ({first_line(error)})") from error


@contextmanager
def _quiet(logger: str) -> Iterator[None]:
    """Without the warnings of torch, which print a traceback that the error repeats."""
    log = logging.getLogger(logger)
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


@contextmanager
def torchscript_allowed() -> Iterator[None]:
    """Silence the deprecation of ``torch.jit``, and nothing else."""
    with warnings.catch_warnings():
        # TorchScript is asked for by those who deploy with it; torch 2.14 still supports it
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", FutureWarning)
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        yield
