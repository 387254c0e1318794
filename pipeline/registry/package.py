"""The exported graph as a model that MLflow can serve: written with all that it needs, no torch."""

import base64
import logging
import sys
import warnings
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pandas as pd
from PIL import Image

from yolov2.config.evaluate import DetectConfig

if TYPE_CHECKING:
    from fastapi import FastAPI
    from mlflow.models import ModelSignature

ROOT = Path(__file__).resolve().parents[2]
SERVED_MODULES = (
    "yolov2/__init__.py",
    "yolov2/boxes.py",
    "yolov2/config/__init__.py",
    "yolov2/config/evaluate.py",
    "yolov2/config/model.py",
    "yolov2/config/section.py",
    "yolov2/data/__init__.py",
    "yolov2/data/images/__init__.py",
    "yolov2/data/images/given.py",
    "yolov2/data/images/reading.py",
    "yolov2/runtime/__init__.py",
    "yolov2/runtime/manifest.py",
    "yolov2/runtime/session.py",
)
"""What ``pipeline/serving/model.py`` imports of ours; it travels with the model."""
SERVED_PACKAGES = ("mlflow", "numpy", "onnxruntime", "pandas", "pillow")


def save_served_model(
    folder: Path,
    files: Mapping[str, Path],
    *,
    model_id: str | None = None,
    run_id: str | None = None,
) -> None:
    """Write ``pipeline/serving/model.py`` with its modules and ``files`` as an MLflow model."""
    with TemporaryDirectory() as temporary, warnings.catch_warnings():
        # MLflow about its own classes, and pandas about MLflow's use of it
        warnings.filterwarnings("ignore", message=".*Any type hint is inferred as AnyType")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"mlflow\.")
        import mlflow.pyfunc
        from mlflow.models import Model

        logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)
        for name in SERVED_MODULES:
            target = Path(temporary) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            copyfile(ROOT / name, target)
        mlflow.pyfunc.save_model(
            folder,
            mlflow_model=Model(model_id=model_id, run_id=run_id),
            python_model=str(ROOT / "pipeline" / "serving" / "model.py"),
            artifacts={name: str(path) for name, path in files.items()},
            code_paths=[str(Path(temporary) / "yolov2")],
            signature=_signature(),
            input_example=_example(),
            pip_requirements=[f"{name}=={version(name)}" for name in SERVED_PACKAGES],
        )


def unfit(folder: Path) -> tuple[list[str], list[str]]:
    """How this Python's packages differ from those that the model in ``folder`` was saved with.

    The first list is what may fail: a package is missing, or its major version is another.
    """
    failing, differing = [], []
    for line in (folder / "requirements.txt").read_text(encoding="utf-8").split():
        name, _, wanted = line.partition("==")
        try:
            here = version(name)
        except PackageNotFoundError:
            failing.append(f"{name} is missing, {wanted} is wanted")
            continue
        if here.split(".")[0] != wanted.split(".")[0]:
            failing.append(f"{name} is {here} instead of {wanted}")
        elif here != wanted:
            differing.append(f"{name} is {here} instead of {wanted}")
    return failing, differing


def scoring_app(folder: Path) -> "FastAPI":
    """MLflow's scoring server, as ``mlflow models serve`` runs it, for the model in ``folder``.

    From here on ``yolov2`` is in this process what travelled with the model: a version of another
    release has other modules, which it must not find half in ours.
    """
    for name in [name for name in sys.modules if name.partition(".")[0] == "yolov2"]:
        del sys.modules[name]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Any type hint is inferred as AnyType")
        from mlflow.pyfunc import load_model, scoring_server

        app: FastAPI = scoring_server.init(load_model(str(folder)))
    return app


def _signature() -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema

    return ModelSignature(
        inputs=Schema([ColSpec("string", "image")]),
        outputs=Schema(
            [
                ColSpec("long", "image_width"),
                ColSpec("long", "image_height"),
                ColSpec("string", "detections"),
            ]
        ),
        params=ParamSchema(
            [
                ParamSpec("conf_threshold", "double", None),  # as the graph says
                ParamSpec("nms_threshold", "double", None),
                ParamSpec("max_detections", "long", DetectConfig().max_detections),
            ]
        ),
    )


def _example() -> pd.DataFrame:
    """A small grey PNG in base64: how a request looks."""
    file = BytesIO()
    Image.new("RGB", (64, 48), (127, 127, 127)).save(file, "PNG")
    return pd.DataFrame({"image": [base64.b64encode(file.getvalue()).decode()]})
