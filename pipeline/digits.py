"""Stage ``digits``: the embedded data set, written in the Ultralytics form.

Scenes composed of scikit-learn's 1,797 handwritten digits on crops of its two photographs. The
splits share nothing: no digit, no part of a photograph, no random stream. The same parameters
give the same bytes, and a scene depends on its split and number alone, not on how many there
are.

An own data set needs none of them: then the folder has a note only. It is made all the same,
because DVC knows no stage that is left out.

``python -m pipeline.digits --more FOLDER`` writes further scenes of a split, as data that arrive
later.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images
from tqdm import tqdm

from pipeline.params.digits import DigitsConfig
from pipeline.params.reading import read_section
from pipeline.running.entry import run_stage
from pipeline.scenes.ink import glyph
from pipeline.scenes.scene import Material, Scene, compose_scene
from pipeline.workspace.inputs import unchanged
from yolov2.config.data import DataConfig
from yolov2.config.section import require_between

STAGE = "digits"
DIGITS = Path("data/digits")
SPLITS = ("train", "val", "test")
DIGIT_SHARES = {"train": (0.0, 0.7), "val": (0.7, 0.8), "test": (0.8, 1.0)}
"""Where each split begins and ends among the shuffled digits of a class."""
REGION_SHARES = {"train": (0.0, 0.6), "test": (0.6, 0.8), "val": (0.8, 1.0)}
"""Where each split begins and ends in the width of a photograph."""
JPEG_QUALITY = 92

DESCRIPTION = """\
# Handwritten digits on photographs, made by `python -m pipeline.digits`; see README.txt.
# Without a `path`, the splits lie beside this file.
train: images/train
val: images/val
test: images/test
nc: 10
names: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
"""

ATTRIBUTION = """\
Handwritten digits on photographs, made by `python -m pipeline.digits`

The backgrounds are crops of the two photographs that scikit-learn ships, scaled, some of them
mirrored, with digits painted on them. Both are licensed under Creative Commons Attribution 2.0
(https://creativecommons.org/licenses/by/2.0/):

    china.jpg    danielbuechele, https://www.flickr.com/photos/danielbuechele/6061409035/
    flower.jpg   vultilion, https://www.flickr.com/photos/vultilion/6056698931/

The digits are sklearn.datasets.load_digits, the test part of "Optical Recognition of
Handwritten Digits" by E. Alpaydin and C. Kaynak, UCI Machine Learning Repository
(https://archive.ics.uci.edu/dataset/80), Creative Commons Attribution 4.0.

What scikit-learn says about the photographs, word for word:

"""

# the same for every other data set, so that DVC keeps it once
NOTE = """\
No scenes: params.yaml names another data set (data.config).
`pipeline params use demo` and `dvc repro` make them, or take them from DVC's cache.
"""


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


def write_data_set(folder: Path, config: DigitsConfig) -> None:
    """Make the whole data set in ``folder``, which is replaced once all of it is there.

    Raises:
        ValueError: the digits do not find room in a scene.
        OSError: ``folder`` cannot be written.
    """
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    counts = (config.train_scenes, config.val_scenes, config.test_scenes)
    with tqdm(total=sum(counts), desc="digits", unit="scene", disable=None) as progress:
        for split, count in zip(SPLITS, counts, strict=True):
            (unfinished / "images" / split).mkdir(parents=True)
            (unfinished / "labels" / split).mkdir(parents=True)
            for i, scene in enumerate(make_scenes(split, count, config)):
                _write_scene(unfinished, split, f"{i:05d}", scene)
                progress.update()
    said = files("sklearn.datasets.images").joinpath("README.txt").read_text(encoding="utf-8")
    (unfinished / "README.txt").write_text(ATTRIBUTION + said, encoding="utf-8")
    (unfinished / "digits.yaml").write_text(DESCRIPTION, encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    unfinished.rename(folder)


def wanted_by(data: DataConfig) -> bool:
    """Whether the data set may hold the scenes: DVC watches a folder with them, or in them.

    That is the embedded data set itself, or what ``pipeline data add`` makes of it.
    """
    watched = Path(os.path.abspath(Path(data.config).parent / data.root))
    scenes = Path(os.path.abspath(DIGITS))
    return watched.is_relative_to(scenes) or scenes.is_relative_to(watched)


def leave_empty(folder: Path) -> None:
    """Replace ``folder`` by one with a note instead of scenes."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / "README.txt").write_text(NOTE, encoding="utf-8")


def write_more(folder: Path, scenes: Iterator[Scene], seed: int) -> None:
    """Write ``scenes`` and the class names into ``folder``, which appears when all are there.

    Raises:
        ValueError: the folder is there already, or the digits do not find room in a scene.
        OSError: it cannot be written.
    """
    if folder.exists():
        raise ValueError(f"--more {folder}: is there already: name a new folder")
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for name in ("images", "labels"):
        (unfinished / name).mkdir(parents=True)
    for i, scene in enumerate(scenes):
        _write_scene(unfinished, "", f"{seed}-{i:05d}", scene)
    names = "".join(DESCRIPTION.splitlines(keepends=True)[-2:])
    (unfinished / "data.yaml").write_text(f"train: images\n{names}", encoding="utf-8")
    unfinished.rename(folder)


def _write_scene(folder: Path, split: str, name: str, scene: Scene) -> None:
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


def main(arguments: Sequence[str] = ()) -> None:
    """Make ``data/digits`` as section ``digits`` of ``params.yaml`` says, or more scenes."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.digits",
        description=f"Make the embedded data set in {DIGITS}, or more scenes elsewhere.",
        epilog="example: python -m pipeline.digits --more incoming/may --scenes 300 --seed 5",
    )
    parser.add_argument("--more", type=Path, metavar="FOLDER", help="write new scenes there")
    parser.add_argument("--scenes", type=int, default=300, help="how many (default: 300)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other scenes")
    parser.add_argument("--split", choices=SPLITS, default="train", help="whose digits they show")
    chosen = parser.parse_args(arguments)
    if chosen.more is None:
        with unchanged(STAGE):
            compose(read_section("data", DataConfig), read_section("digits", DigitsConfig))
        return
    config = read_section("digits", DigitsConfig)
    require_between("--scenes", chosen.scenes, 1, 99_999)
    require_between("--seed", chosen.seed, 0, 2**32 - 1)
    scenes = make_scenes(chosen.split, chosen.scenes, config, later=chosen.seed)
    write_more(chosen.more, scenes, chosen.seed)
    print(f"{chosen.more}: {chosen.scenes} new scenes of the digits for {chosen.split}")


def compose(data: DataConfig, config: DigitsConfig) -> None:
    """What the stage does: all scenes, or a note where the data set ``data`` is another."""
    if not wanted_by(data):
        leave_empty(DIGITS)
        print(f"{DIGITS}: left empty, the data set is {data.config}")
        return
    write_data_set(DIGITS, config)
    print(
        f"{DIGITS}: {config.train_scenes} scenes for training, {config.val_scenes} for"
        f" validation, {config.test_scenes} for the test"
    )


if __name__ == "__main__":
    run_stage(lambda: main(sys.argv[1:]))
