"""Registered models: versions, their tags, and the aliases that say what each is used for.

Aliases: ``challenger`` is the newest, ``champion`` the one in use, ``previous`` the one before.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline.params.tracking import TrackingConfig
from pipeline.registry.package import save_served_model
from pipeline.tracking.connection import connect
from pipeline.tracking.store import Store

CHALLENGER, CHAMPION, PREVIOUS = "challenger", "champion", "previous"
PROVEN, PASSED = "proven", "passed"
"""What the tags ``parity`` and ``validation`` of a version say when all is well."""


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

    def tag(self, name: str) -> str | None:
        """A tag of the registered model itself; None if it has none of that name."""
        if not self._exists():
            return None
        tags: Mapping[str, str] = self.store.client.get_registered_model(self.name).tags
        return tags.get(name)

    def with_alias(self, alias: str) -> Version | None:
        """The version that ``alias`` points to, if any."""
        number = self.aliases().get(alias)
        if number is None:
            return None
        return _version(self.store.client.get_model_version(self.name, str(number)))

    def numbers(self) -> list[int]:
        """All version numbers, ascending."""
        wanted = f"name = '{self.name}'"
        return sorted(int(v.version) for v in self.store.client.search_model_versions(wanted))

    def with_number(self, number: int) -> Version | None:
        """The version of this number, if there is one."""
        if number not in self.numbers():
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
        with _default_store(self.store.uri):
            made = client.create_model_version(
                self.name,
                source=f"models:/{model_id}",
                run_id=run_id,
                model_id=model_id,
                tags=dict(tags),
                description=description,
            )
        versions = json.dumps([{"name": self.name, "version": made.version}])
        client.set_logged_model_tags(model_id, {"mlflow.modelVersions": versions})
        return _version(made)

    def _exists(self) -> bool:
        return bool(self.store.client.search_registered_models(f"name = '{self.name}'"))


@contextmanager
def _default_store(uri: str) -> Iterator[None]:
    """MLflow resolves ``models:/`` in the store that the environment names, not in the client's."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    os.environ["MLFLOW_TRACKING_URI"] = uri
    try:
        yield
    finally:
        if before is None:
            del os.environ["MLFLOW_TRACKING_URI"]
        else:
            os.environ["MLFLOW_TRACKING_URI"] = before


def _version(found: Any) -> Version:
    return Version(number=int(found.version), run_id=str(found.run_id), tags=dict(found.tags))
