"""Files of registered models, fetched from wherever the MLflow store keeps them."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.tracking import address as store_address
from pipeline.tracking.store import Store

FOLDER = "artifacts"
"""Where ``save_served_model`` puts the graph, the checkpoint and their like within a model."""


def model_files(store: Store, model_id: str) -> dict[str, str]:
    """Addresses of a logged model's files by name."""
    place = str(store.client.get_logged_model(model_id).artifact_location).rstrip("/")
    listed = store.client.list_logged_model_artifacts(model_id, FOLDER)
    names = [entry.path.rsplit("/", 1)[-1] for entry in listed if not entry.is_dir]
    return {name: f"{place}/{FOLDER}/{name}" for name in sorted(names)}


def fetch(store: Store, address: str, cache: Path) -> Path:
    """The file at ``address``: where it lies, if that is on this machine, else fetched once.

    Raises:
        TrackingError: it cannot be read.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    if address.startswith("file:"):
        return Path(unquote(urlsplit(address).path))
    target = cache / address.rsplit("/", 1)[-1]
    if target.exists():
        return target
    part = cache / "part"
    part.mkdir(parents=True, exist_ok=True)
    try:
        got = download_artifacts(address, dst_path=str(part), tracking_uri=store.uri)
    except (MlflowException, OSError) as error:
        raise store_address.unusable(store.uri, error) from error
    # under its name only when it is whole
    return Path(got).replace(target)


def fetch_model(store: Store, model_id: str, cache: Path) -> Path:
    """The folder of a logged model: where it lies on this machine, else fetched once.

    Raises:
        TrackingError: it cannot be read.
    """
    place = str(store.client.get_logged_model(model_id).artifact_location)
    folder = fetch(store, place, cache / model_id)
    if not (folder / "MLmodel").is_file():
        raise store_address.TrackingError(
            f"{folder} does not hold the model that the store says is there: move its files back,"
            " or register the model again"
        )
    return folder


def copy_tree(folder: Path, uri: str) -> None:
    """Copy everything below ``folder`` to ``uri``: a folder, ``s3://...``, as MLflow knows them.

    Raises:
        TrackingError: it cannot be written there.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    try:
        get_artifact_repository(uri).log_artifacts(str(folder))  # type: ignore[no-untyped-call]
    except (MlflowException, OSError, ImportError) as error:
        said = " ".join(str(error).split())
        raise store_address.TrackingError(f"the files cannot be copied to {uri}: {said}") from error
