"""Further scenes of a split, as data that arrive after the data set was made."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.params.digits import DigitsConfig
from pipeline.scenes.scene import Scene
from pipeline.scenes.splits import CLASSES, make_scenes, write_scene
from yolov2.config.section import require_between


def write_arrivals(
    folder: Path, config: DigitsConfig, *, split: str, count: int, seed: int
) -> None:
    """Write ``count`` scenes of ``split`` that the data set has not; another seed, other scenes.

    Raises:
        ValueError: the folder is there already, or the digits do not find room in a scene.
        OSError: it cannot be written.
    """
    require_between("--scenes", count, 1, 99_999)
    require_between("--seed", seed, 0, 2**32 - 1)
    _write(folder, make_scenes(split, count, config, later=seed), seed)


def _write(folder: Path, scenes: Iterator[Scene], seed: int) -> None:
    """Write ``scenes`` and the class names into ``folder``, which appears when all are there."""
    if folder.exists():
        raise ValueError(f"{folder} is there already: name a new folder")
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for name in ("images", "labels"):
        (unfinished / name).mkdir(parents=True)
    for i, scene in enumerate(scenes):
        write_scene(unfinished, "", f"{seed}-{i:05d}", scene)
    (unfinished / "data.yaml").write_text(f"train: images\n{CLASSES}", encoding="utf-8")
    unfinished.rename(folder)
