"""The scenes of a split, which share nothing with those of another, and their files.

Equal parameters give equal bytes; a scene depends on its split and number alone.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from pipeline.params.digits import DigitsConfig
from pipeline.scenes.ink import glyph
from pipeline.scenes.scene import Material, Scene, compose_scene

SPLITS = ("train", "val", "test")
DIGIT_SHARES = {"train": (0.0, 0.7), "val": (0.7, 0.8), "test": (0.8, 1.0)}
"""Where each split begins and ends among the shuffled digits of a class."""
REGION_SHARES = {"train": (0.0, 0.6), "test": (0.6, 0.8), "val": (0.8, 1.0)}
"""Where each split begins and ends in the width of a photograph."""
JPEG_QUALITY = 92
CLASSES = """\
nc: 10
names: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
"""
"""The end of a description in the Ultralytics form."""


def load_material(split: str, seed: int) -> Material:
    """The digits and the regions of the photographs that belong to ``split`` alone.

    The digits of each class are shuffled by ``seed`` and dealt out by ``DIGIT_SHARES``.
    """
    digits = load_digits()
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0,)))
    chosen: list[int] = []
    for class_id in range(10):
        members = rng.permutation(np.flatnonzero(digits.target == class_id))
        chosen.extend(members[_part(len(members), DIGIT_SHARES[split])].tolist())
    return Material(
        photographs=[
            Image.fromarray(photograph[:, _part(photograph.shape[1], REGION_SHARES[split])])
            for photograph in load_sample_images().images
        ],
        glyphs=[glyph(digits.images[i]) for i in chosen],
        class_ids=digits.target[chosen].astype(np.int64),
        digits=np.array(chosen, dtype=np.int64),
    )


def _part(length: int, shares: tuple[float, float]) -> slice:
    """The part of ``length`` things between two shares of it."""
    return slice(round(shares[0] * length), round(shares[1] * length))


def make_scenes(
    split: str, count: int, config: DigitsConfig, later: int | None = None
) -> Iterator[Scene]:
    """The first ``count`` scenes of ``split``; with the seed ``later`` scenes that it has not.

    Later scenes show the same split's digits and regions; their random streams differ in the
    first key from those of every scene of the data set.

    Raises:
        ValueError: the digits do not find room in a scene.
    """
    material = load_material(split, config.seed)
    first = 1 + SPLITS.index(split)
    for i in range(count):
        key = (first, i) if later is None else (first + len(SPLITS), later, i)
        sequence = np.random.SeedSequence(config.seed, spawn_key=key)
        yield compose_scene(material, config, np.random.default_rng(sequence))


def write_scene(folder: Path, split: str, name: str, scene: Scene) -> None:
    """``images/split/name.jpg`` and ``labels/split/name.txt`` (empty for a bare background)."""
    image = Image.fromarray(scene.image)
    image.save(folder / "images" / split / f"{name}.jpg", quality=JPEG_QUALITY)
    side = len(scene.image)
    lines = []
    for class_id, box in zip(scene.class_ids, scene.boxes_xyxy_pixels / side, strict=True):
        left, top, right, bottom = box
        cx, cy, width, height = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
        lines.append(f"{class_id} {cx:.6f} {cy:.6f} {width:.6f} {height:.6f}\n")
    (folder / "labels" / split / f"{name}.txt").write_text("".join(lines), encoding="utf-8")
