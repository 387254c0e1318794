"""Stage ``digits``: the embedded data set, written in the Ultralytics form.

Scenes composed of scikit-learn's 1,797 handwritten digits on crops of its two photographs. The
splits share nothing: no digit, no part of a photograph, no random stream. The same parameters
give the same bytes, and a scene depends on its split and number alone, not on how many there
are.

An own data set needs none of them: then the folder has a note only. It is made all the same,
because DVC knows no stage that is left out.
"""

import os
import shutil
from importlib.resources import files
from pathlib import Path

from tqdm import tqdm

from pipeline.params.digits import DigitsConfig
from pipeline.params.reading import read_section
from pipeline.running.entry import run_stage
from pipeline.scenes.splits import CLASSES, SPLITS, make_scenes, write_scene
from pipeline.workspace.inputs import unchanged
from yolov2.config.data import DataConfig

STAGE = "digits"
DIGITS = Path("data/digits")
DESCRIPTION = """\
# Handwritten digits on photographs, made by `python -m pipeline.digits`; see README.txt.
# Without a `path`, the splits lie beside this file.
train: images/train
val: images/val
test: images/test
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
                write_scene(unfinished, split, f"{i:05d}", scene)
                progress.update()
    said = files("sklearn.datasets.images").joinpath("README.txt").read_text(encoding="utf-8")
    (unfinished / "README.txt").write_text(ATTRIBUTION + said, encoding="utf-8")
    (unfinished / "digits.yaml").write_text(DESCRIPTION + CLASSES, encoding="utf-8")
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


def main() -> None:
    """Make ``data/digits`` as sections ``data`` and ``digits`` of ``params.yaml`` say."""
    with unchanged(STAGE):
        compose(read_section("data", DataConfig), read_section("digits", DigitsConfig))


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
    run_stage(main, options=False)
