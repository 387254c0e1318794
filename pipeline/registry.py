"""Registered models: versions, their tags, and the aliases that say what each is used for.

Aliases: ``challenger`` is the newest, ``champion`` the one in use, ``previous`` the one before.
"""

import base64
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from pipeline.mlflow_store import Store, connect
from pipeline.params.schema import TrackingConfig
from yolov2.config import DetectConfig

CHALLENGER, CHAMPION, PREVIOUS = "challenger", "champion", "previous"
ROOT = Path(__file__).resolve().parents[1]
SERVED_MODULES = (
    "yolov2/__init__.py",
    "yolov2/boxes.py",
    "yolov2/config.py",
    "yolov2/data/__init__.py",
    "yolov2/data/images.py",
    "yolov2/detection/__init__.py",
    "yolov2/detection/manifest.py",
)
"""What ``pipeline/serving.py`` imports of ours; it travels with the model."""
SERVED_PACKAGES = ("mlflow", "numpy", "onnxruntime", "pandas", "pillow")


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of the registered model: its number, the run it comes from, its tags."""

    number: int
    run_id: str
    tags: Mapping[str, str]


class Registry:
    """The registered model that ``tracking.model_name`` names.

    Raises:
        TrackingError: the store cannot be used.
    """

    def __init__(self, config: TrackingConfig) -> None:
        self.name = config.model_name
        self.store: Store = connect(config.experiment)

    def find(self, tag: str, value: str) -> Version | None:
        """The newest version whose ``tag`` is ``value``."""
        wanted = f"name = '{self.name}' and tags.`{tag}` = '{value}'"
        found = [_version(v) for v in self.store.client.search_model_versions(wanted)]
        return max(found, key=lambda v: v.number, default=None)

    def aliases(self) -> dict[str, int]:
        """Alias -> version number; empty before the first registration."""
        # search results of versions carry no aliases, only the registered model does
        if not self._exists():
            return {}
        found = self.store.client.get_registered_model(self.name).aliases
        return {alias: int(number) for alias, number in found.items()}

    def with_alias(self, alias: str) -> Version | None:
        """The version that ``alias`` points to, if any."""
        number = self.aliases().get(alias)
        if number is None:
            return None
        return _version(self.store.client.get_model_version(self.name, str(number)))

    def set_alias(self, alias: str, number: int) -> None:
        """Point ``alias`` to a version."""
        self.store.client.set_registered_model_alias(self.name, alias, str(number))

    def set_tags(self, number: int, tags: Mapping[str, str]) -> None:
        """Set tags of a version."""
        for name, value in tags.items():
            self.store.client.set_model_version_tag(self.name, str(number), name, value)

    def register(
        self,
        model_id: str,
        run_id: str,
        files: Mapping[str, Path],
        *,
        description: str,
        tags: Mapping[str, str],
    ) -> Version:
        """Fill the training's model with a servable one and make it the next version.

        ``files`` must have ``onnx``, the exported graph; others travel beside it.
        """
        client = self.store.client
        if client.get_logged_model(model_id).status == "READY":
            # another graph of this training is registered: its files must stay what they are
            model_id = self.store.new_model(run_id)
        with TemporaryDirectory() as folder:
            save_served_model(Path(folder) / "model", files, model_id=model_id, run_id=run_id)
            client.log_model_artifacts(model_id, str(Path(folder) / "model"))
        client.finalize_logged_model(model_id, "READY")
        if not self._exists():
            client.create_registered_model(
                self.name, description="YOLOv2 detector: images in, detections out."
            )
        place = client.get_logged_model(model_id).artifact_location
        remote = self.store.uri.startswith("http")
        made = client.create_model_version(
            self.name,
            # a server resolves the address itself; without one MLflow would look for the model
            # in its global store
            source=f"models:/{model_id}" if remote else place,
            run_id=run_id,
            model_id=model_id,
            tags=dict(tags),
            description=description,
        )
        return _version(made)

    def _exists(self) -> bool:
        return bool(self.store.client.search_registered_models(f"name = '{self.name}'"))


def save_served_model(
    folder: Path,
    files: Mapping[str, Path],
    *,
    model_id: str | None = None,
    run_id: str | None = None,
) -> None:
    """Write ``pipeline/serving.py`` with its modules and ``files`` as an MLflow model."""
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
            python_model=str(ROOT / "pipeline" / "serving.py"),
            artifacts={name: str(path) for name, path in files.items()},
            code_paths=[str(Path(temporary) / "yolov2")],
            signature=_signature(),
            input_example=_example(),
            pip_requirements=[f"{name}=={version(name)}" for name in SERVED_PACKAGES],
        )


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema

    defaults = DetectConfig()
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
                ParamSpec("conf_threshold", "double", defaults.conf_threshold),
                ParamSpec("nms_threshold", "double", defaults.nms_threshold),
                ParamSpec("max_detections", "long", defaults.max_detections),
            ]
        ),
    )


def _example() -> Any:
    """A small grey PNG in base64: how a request looks."""
    import pandas as pd

    file = BytesIO()
    Image.new("RGB", (64, 48), (127, 127, 127)).save(file, "PNG")
    return pd.DataFrame({"image": [base64.b64encode(file.getvalue()).decode()]})


def _version(found: Any) -> Version:
    return Version(number=int(found.version), run_id=str(found.run_id), tags=dict(found.tags))
