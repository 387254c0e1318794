"""A fresh sqlite store for a test, copied from one that is made once: its schema takes seconds."""

import importlib
import shutil
import subprocess
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeline.running import recorder


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables and nothing in them."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path) -> Path:
    """The current folder: a repository's root with an empty store."""
    (tmp_path / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def unrecorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages find a store and a recorder that do nothing: for tests of what stages compute."""

    def start(module: str, *arguments: str, **pipes: Any) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(["true"], **{"stdin": subprocess.DEVNULL, **pipes})

    monkeypatch.setattr(recorder, "_start", start)
    monkeypatch.setattr(recorder, "RESTARTS", 0)


@pytest.fixture(scope="session")
def pyfunc() -> ModuleType:
    """``mlflow.pyfunc``, whose first import warns about MLflow's own classes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Any type hint is inferred as AnyType")
        return importlib.import_module("mlflow.pyfunc")
