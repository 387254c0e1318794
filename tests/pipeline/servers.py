"""MLflow servers on loopback, for tests with the mark ``services``."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen


def start(*command: str, ready: str, cwd: Path, port: int) -> subprocess.Popen[bytes]:
    """An MLflow server that answers on ``http://127.0.0.1:port/ready``."""
    address = f"http://127.0.0.1:{port}/{ready}"
    place = ("--host", "127.0.0.1", "--port", str(port))
    return start_module("mlflow", *command, *place, ready=address, cwd=cwd)


def start_module(*command: str, ready: str, cwd: Path) -> subprocess.Popen[bytes]:
    """``python -m command`` in a process of its own group; it answers at the address ``ready``."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=cwd,
        # `models serve` starts uvicorn by name: it must be found though no venv is active
        env=os.environ
        | {
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    for _ in range(600):
        try:
            with urlopen(ready, timeout=2):
                return process
        except (URLError, OSError):
            time.sleep(0.2)
        if process.poll() is not None:
            break
    stop(process)
    raise AssertionError(f"{' '.join(command)} does not answer")


def start_tracking(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """A tracking server whose database and files are in ``folder``."""
    options = ("--backend-store-uri", f"sqlite:///{folder}/server.db")
    options += ("--artifacts-destination", str(folder / "artifacts"), "--workers", "1")
    return start("server", *options, ready="health", cwd=folder, port=port)


def stop(process: subprocess.Popen[bytes], by: signal.Signals = signal.SIGTERM) -> None:
    """End a server with its children."""
    if process.poll() is None:
        os.killpg(process.pid, by)
        process.wait(30)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
