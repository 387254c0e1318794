"""How far two exported files compute the same, where their bytes differ."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from pipeline.params.tracking import TrackingConfig
from pipeline.paths import ARTIFACTS, EXPORT, EXPORTED, PARAMS
from pipeline.registry.models import Registry
from pipeline.reproduction.passes import Pass
from pipeline.reproduction.verdict import Outputs
from pipeline.running.files import read_json
from pipeline.tracking.model_files import fetch, model_files
from pipeline.workspace.dvc_files import read_yaml
from yolov2.data.description import read_description
from yolov2.data.images.reading import letterbox_image, network_input, read_image
from yolov2.data.table import LabelTables
from yolov2.export.evidence import spread
from yolov2.files import file_sha256
from yolov2.runtime.model_file import OpenedModel, open_model

SAMPLES = 4


def compare_outputs(
    config: TrackingConfig, original: Pass, tree: Path, formats: Iterable[str]
) -> dict[str, Outputs]:
    """For each format, how far the original's file and that in ``tree`` compute the same.

    The original's is in this work space, if it still has that export, or with the registered
    version.

    Raises:
        TrackingError: the store cannot be used.
    """
    said = {}
    artefacts = read_json(tree / EXPORT, "the repetition")["artefacts"]
    with tempfile.TemporaryDirectory() as folder:
        for name in formats:
            file = str(artefacts[name]["file"])
            kept = _kept(config, original, name, file, Path(folder))
            if kept is None:
                text = f"{name}: the original's file is not kept, so outputs were not compared"
                said[name] = Outputs(equal=False, text=text)
            else:
                equal, text = _compare(kept, tree / EXPORTED / file, tree)
                said[name] = Outputs(equal=equal, text=f"{name}: {text}")
    return said


def _kept(
    config: TrackingConfig, original: Pass, name: str, file: str, folder: Path
) -> Path | None:
    """The very file that the original exported, if it can be had."""
    here = EXPORTED / file
    if here.is_file() and file_sha256(here) == original.exported[name]:
        return here
    registry = Registry(config)
    version = registry.find("training_run", original.training)
    if version is None:
        return None
    found = registry.store.client.get_model_version(registry.name, str(version.number))
    place = model_files(registry.store, str(found.source).rsplit("/", 1)[-1]).get(file)
    fetched = fetch(registry.store, place, folder) if place else None
    return fetched if fetched and file_sha256(fetched) == original.exported[name] else None


def _compare(original: Path, repetition: Path, tree: Path) -> tuple[bool, str]:
    try:
        return _apart(open_model(original, "cpu"), open_model(repetition, "cpu"), tree)
    except ValueError as error:  # told on the page: the rest of a long repetition still counts
        return False, f"outputs could not be compared: {error}"


def _apart(original: OpenedModel, repetition: OpenedModel, tree: Path) -> tuple[bool, str]:
    """Whether two models say the same of sample images, and the largest difference of it."""
    sides = {model.manifest.image_size for model in (original, repetition)}
    if len(sides) > 1:
        return False, f"made for images of {' and '.join(map(str, sorted(sides)))} pixels"
    images = torch.from_numpy(_samples(tree, sides.pop()))  # (B, 3, S, S)
    with torch.inference_mode():
        one, other = (model.predict(images).numpy() for model in (original, repetition))
    if one.shape != other.shape:
        return False, f"their outputs have other shapes, {one.shape} and {other.shape}"
    box = float(np.abs(one[..., :4] - other[..., :4]).max())
    score = float(np.abs(one[..., 4:] - other[..., 4:]).max())
    return bool(np.array_equal(one, other)), (
        f"outputs of {len(images)} sample images differ by at most {box:.2g} pixels and"
        f" {score:.2g} in scores"
    )


def _samples(tree: Path, side: int) -> np.ndarray:
    """A few images of the tree's data as a batch (B, 3, S, S), float32 in [0, 1]."""
    params = read_yaml(tree / PARAMS)
    root = read_description(tree / params["data"]["config"]).root
    tables = LabelTables.read(tree / ARTIFACTS)
    names = spread(tables, tables.splits[-1], SAMPLES)
    return network_input([letterbox_image(read_image(root / name), side)[0] for name in names])
