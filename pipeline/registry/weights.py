"""Weights at ``models:/...``: a version of a registered model as a file on this machine.

``yolov2`` finds this module through the entry point group ``yolov2.weights``.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from pipeline.params.tracking import TrackingConfig
from pipeline.registry.models import Registry
from pipeline.tracking import address as store_address
from pipeline.tracking.model_files import fetch, model_files
from yolov2.config.section import require
from yolov2.runtime.thresholds import THRESHOLDS

ADDRESS = re.compile(r"models:/(?P<name>[^/@:]+)(?:@(?P<alias>[^/@:]+)|/(?P<number>\d+))")
CACHE = Path("~/.cache/yolov2/models")


def find(address: str, suffixes: Sequence[str]) -> Path:
    """The file of ``models:/name@alias`` or ``models:/name/3`` with the first suffix it has.

    Files of a store on this machine are read where they lie, those of a server are fetched into
    the user's cache, once.

    Raises:
        ValueError: no such address, store, model, alias, version or file.
        TrackingError: the store cannot be used.
    """
    found = ADDRESS.fullmatch(address)
    require(found is not None, f"{address}: write it as models:/name@alias or models:/name/version")
    assert found is not None
    uri = store_address.tracking_uri()
    database = store_address.database_file(uri)
    require(
        database is None or database.exists(),
        f"{address}: there is no store of models at {database}; run this in the repository, or"
        " say in MLFLOW_TRACKING_URI where it is",
    )
    registry = Registry(TrackingConfig(model_name=found["name"]))
    number = _number(registry, address, found["alias"], found["number"])
    source = registry.store.client.get_model_version(registry.name, str(number)).source
    model_id = str(source).rsplit("/", 1)[-1]
    files = model_files(registry.store, model_id)
    cache = CACHE.expanduser() / model_id
    for suffix in suffixes:
        for name, place in files.items():
            if name.endswith(suffix):
                if suffix == ".pt" and THRESHOLDS in files:  # is looked for beside it
                    fetch(registry.store, files[THRESHOLDS], cache)
                return fetch(registry.store, place, cache)
    raise ValueError(
        f"{address} has no file that ends in {', '.join(suffixes)} (it has: {', '.join(files)})"
    )


def _number(registry: Registry, address: str, alias: str | None, number: str | None) -> int:
    """The version that an alias or a number names."""
    aliases, numbers = registry.aliases(), registry.numbers()
    require(bool(numbers), f"{address}: no model '{registry.name}' is registered")
    wanted = aliases.get(alias) if alias else int(number or 0)
    if wanted not in numbers:
        known = ", ".join([*map(str, numbers), *(f"@{each}" for each in aliases)])
        raise ValueError(
            f"{address}: '{registry.name}' has no version '{alias or number}' (it has: {known})"
        )
    return wanted
