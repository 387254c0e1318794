"""What every test starts from: no telemetry, no server of the user's, one thread, fixed seeds."""

import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.running.entry import TELEMETRY_OFF

ROOT = Path(__file__).resolve().parents[1]

ISOLATION = TELEMETRY_OFF | {
    # two test processes on two cores; also what makes sums repeatable
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # scratch repositories commit, on machines where git knows no name
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@localhost",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@localhost",
}

FOREIGN = (
    "DVC_EXP_NAME",
    "DVC_ROOT",
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_REGISTRY_URI",
    "MLFLOW_RUN_ID",
    "MLFLOW_TRACKING_URI",
    "PREFECT_API_KEY",
    "PREFECT_API_URL",
)
"""Settings of the person who runs the tests: a test must never write to their servers."""

# here and not in a fixture: some of them are read when a library is first imported
os.environ.update(ISOLATION)
for _name in FOREIGN:
    os.environ.pop(_name, None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip ``gpu`` tests on a machine without a CUDA device."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")


@pytest.fixture(autouse=True, scope="module")
def import_path() -> Iterator[None]:
    """MLflow puts the code of a loaded model first, which later tests' processes must not run."""
    before = list(sys.path)
    yield
    sys.path[:] = before


@pytest.fixture(autouse=True)
def random_states() -> Iterator[None]:
    """Every test starts from, and leaves, the same random states: order does not matter."""
    restore = _remember()
    yield
    restore()


def _remember() -> Callable[[], None]:
    python, numpy = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    cpu = torch.get_rng_state() if torch else None

    def restore() -> None:
        random.setstate(python)
        np.random.set_state(numpy)
        torch = sys.modules.get("torch")
        if torch and cpu is not None:
            torch.set_rng_state(cpu)
        elif torch:  # the test imported it: back to the seed that torch starts with
            torch.manual_seed(67280421310721)

    return restore


@pytest.fixture(scope="session")
def bccd() -> Path:
    """The BCCD blood cell data set beside the checkout; tests skip where it is absent."""
    folder = ROOT.parent / "shared" / "data" / "bccd"
    if not folder.is_dir():
        pytest.skip("../shared/data/bccd is not on this machine")
    return folder
