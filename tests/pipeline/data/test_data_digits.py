"""``pipeline data demo``: later scenes, never one of the data set."""

from pathlib import Path

import numpy as np
import pytest

from pipeline import cli
from pipeline.params.digits import DigitsConfig
from pipeline.scenes.splits import load_material, make_scenes
from yolov2.data.description import read_description


def test_later_scenes_are_of_the_same_split_and_none_of_the_data_set() -> None:
    config = DigitsConfig(seed=3)
    first = [scene.image.tobytes() for scene in make_scenes("train", 40, config)]
    later = list(make_scenes("train", 40, config, later=3))
    pictures = {scene.image.tobytes() for scene in later}
    assert len(pictures | set(first)) == 80
    shown = np.concatenate([scene.digits for scene in later])
    assert set(shown) <= set(load_material("train", 3).digits)
    others = {scene.image.tobytes() for scene in make_scenes("train", 40, config, later=4)}
    assert len(others | pictures) == 80


def test_the_folder_is_whole_and_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("digits: {}\n")
    order = ["data", "demo", "in/may", "--scenes", "7", "--seed", "5", "--split", "val"]
    cli.run(order)
    assert capsys.readouterr().out == "in/may: 7 new scenes of the digits for val\n"
    found = read_description(Path("in/may/data.yaml"))
    assert [path.name for path in found.images["train"]] == [f"5-{i:05d}.jpg" for i in range(7)]
    assert found.class_names == tuple("0123456789")
    assert len(list(Path("in/may/labels").iterdir())) == 7
    with pytest.raises(ValueError, match="^in/may is there already: name a new folder$"):
        cli.run(order)
    with pytest.raises(ValueError, match="^--scenes must be between 1 and 99999, not 0$"):
        cli.run(["data", "demo", "in/june", "--scenes", "0"])
    assert not Path("in/june").exists()
