"""ONNX Runtime without its telemetry, and sessions of it that know the process they were made in.

No torch: this file travels with the served model.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ERRORS_ONLY = 3
"""ONNX Runtime's severity: its warnings are about optimisations that it leaves out."""

CPU_ONLY = ("CPUExecutionProvider",)


def onnx_runtime() -> Any:
    """The module ``onnxruntime``, imported nowhere else, so that it calls nobody.

    From 1.32 on it makes up an id of the device under ``~/.cache``, and sends that with facts
    about the machine to its maker. ``ORT_DISABLE_TELEMETRY=0`` lets it.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when it is imported
    import onnxruntime

    return onnxruntime


def has_cuda() -> bool:
    """Whether the ONNX Runtime that is installed can use a CUDA card."""
    return "CUDAExecutionProvider" in onnx_runtime().get_available_providers()


class Session:
    """A graph in ONNX Runtime with ``threads`` threads; 0: as many as the machine has cores.

    ``metadata`` is the text that the graph carries, by name. ``providers`` are ONNX Runtime's.
    """

    def __init__(
        self, path: Path | str, *, threads: int = 0, providers: Sequence[Any] = CPU_ONLY
    ) -> None:
        onnxruntime = onnx_runtime()
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.log_severity_level = ERRORS_ONLY
        alone = tuple(providers) == CPU_ONLY
        self.path, self._process = Path(path), os.getpid()
        self._threads = (threads or os.cpu_count() or 1) if alone else 2
        self._session = onnxruntime.InferenceSession(
            path,
            settings,
            providers=list(providers),
            # without a card there is nothing to fall back to, and trying that prints a banner
            enable_fallback=int(not alone),
        )
        self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map

    def run(self, outputs: Sequence[str], inputs: Mapping[str, object]) -> list[Any]:
        """The ``outputs`` for the ``inputs``, both by name.

        Raises:
            ValueError: this is a fork of the process that opened the graph.
        """
        require_own_process(self._process, self._threads)
        found: list[Any] = self._session.run(list(outputs), dict(inputs))
        return found


def require_own_process(loaded_in: int, threads: int) -> None:
    """Raise ``ValueError`` in a fork of the process ``loaded_in``, if that computes in ``threads``.

    A fork has none of its parent's threads but one; who waits for the others waits for ever.
    """
    if threads > 1 and os.getpid() != loaded_in:
        raise ValueError(
            f"the model was loaded in process {loaded_in} and is used in its fork {os.getpid()},"
            " where its threads do not exist: load it in each process, start processes by spawn"
            " instead of fork, or compute with one thread (OMP_NUM_THREADS=1)"
        )
