"""``pipeline data`` in small DVC repositories: real processes where it matters."""

import json
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from pipeline import cli
from pipeline.commands.data import CHANGED
from pipeline.data import add as data_add
from pipeline.data.add import Order, add
from pipeline.data.description import with_entry
from pipeline.data.log import read_log
from pipeline.params.presets import DEMO, render
from pipeline.params.schema import load
from tests.datasets import write_dataset
from tests.yolov2.trainer import changed
from yolov2.data.description import read_description

ROOT = Path(__file__).resolve().parents[3]
BOX = "0 0.5 0.5 0.25 0.5\n"
DESCRIPTION = """\
# pets of ours
train: images/train  # the yard
val: images/val
test: images/test

names: [cat, dog, owl]  # in this order
"""


def noise(seed: int, form: str = "PNG") -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (16, 24, 3)).astype(np.uint8)
    stream = BytesIO()
    Image.fromarray(values).save(stream, form)
    return stream.getvalue()


def arrive(folder: Path, files: dict[str, tuple[bytes, str | None]]) -> Path:
    """New images with labels: ``images/STEM.png`` and ``labels/STEM.txt``."""
    for stem, (content, label) in files.items():
        for name in ("images", "labels"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / f"images/{stem}.png").write_bytes(content)
        if label is not None:
            (folder / f"labels/{stem}.txt").write_text(label)
    return folder


def dvc(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        env=os.environ | {"DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def start(code: str = "", *arguments: str) -> "subprocess.Popen[str]":
    """``pipeline data ARGUMENTS`` as a process; ``code`` runs in it before."""
    program = f"{code}\nimport sys; from pipeline.cli import main; main()\n"
    return subprocess.Popen(
        [sys.executable, "-c", program, "data", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def splits(file: str | Path) -> dict[str, list[str]]:
    """The names of the images of each split."""
    images = read_description(Path(file)).images
    return {split: [path.name for path in paths] for split, paths in images.items()}


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q", "--no-scm"], cwd=folder, check=True)
    return folder


@pytest.fixture
def pets(tmp_path: Path, bare: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a DVC repository with the plain data set ``data/pets``."""
    subprocess.run(["cp", "-r", f"{bare}/.", str(tmp_path / "here")], check=True)
    monkeypatch.chdir(tmp_path / "here")
    labels: dict[str, dict[str, str | bytes | None]] = {
        "train": {"a": BOX, "b": None},
        "val": {"v": BOX},
        "test": {"t": BOX},
    }
    pictures = {"train/a.png": 1, "train/b.png": 2, "val/v.png": 3, "test/t.png": 4}
    content = {name: noise(seed) for name, seed in pictures.items()}
    for name, data_ in content.items():
        path = Path("data/pets/images", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data_)
    write_dataset(Path("data/pets"), labels)
    Path("data/pets/data.yaml").write_text(DESCRIPTION)
    settings = {"data.config": "data/pets/data.yaml"}
    Path("params.yaml").write_text(render("demo", changed(DEMO, settings)))
    return tmp_path


def test_a_batch_is_checked_copied_versioned_and_recorded(
    pets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = arrive(
        pets / "May trip",
        {
            "n": (noise(10), BOX + "2 0.5 0.5 0.1 0.1\n"),
            "o": (noise(11), None),
            "a": (noise(1), BOX),
        },
    )
    assert cli.run(["data", "add", str(new)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[:4] == [
        "1 images have no label file: they count as showing no object",
        "skipped: 1 images that train has, with the same labels",
        "2 images, 2 boxes added to train:",
        "  cat: 1, dog: 0, owl: 1",
    ]
    batch = Path("data/pets/batches/May-trip")
    files = sorted(p.relative_to(batch).as_posix() for p in batch.rglob("*") if p.is_file())
    assert files == ["images/n.png", "images/o.png", "labels/n.txt"]
    assert splits("data/pets/data.yaml")["train"] == ["n.png", "o.png", "a.png", "b.png"]
    assert Path("data/pets/data.yaml").read_text() == DESCRIPTION.replace(
        "train: images/train  # the yard\n",
        "train:\n  - images/train     # the yard\n  - batches/May-trip\n",
    )
    assert yaml.safe_load(batch.with_name("May-trip.dvc").read_text())["outs"][0]["nfiles"] == 3
    (recorded,) = read_log(Path("data/pets/batches.yaml")).batches
    assert (recorded.images, recorded.boxes, recorded.skipped) == (2, 2, 1)
    assert recorded.boxes_by_class == {"cat": 1, "dog": 0, "owl": 1}
    assert recorded.source == str(new)
    assert dvc("status", f"{batch}.dvc") == "Data and pipelines are up to date.\n"
    assert cli.run(["data", "add", str(new)]) == 0
    assert f"nothing new in {new}" in capsys.readouterr().out
    assert cli.run(["data", "status"]) == 0
    assert cli.run(["data", "list"]) == 0
    assert "  May-trip  train: 2 images, 2 boxes, 1 skipped, digest " in capsys.readouterr().out
    assert cli.run(["data", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["config"] == "data/pets/data.yaml"
    assert [(one["name"], one["images"], one["there"]) for one in listed["batches"]] == [
        ("May-trip", 2, True)
    ]


BAD: list[tuple[dict[str, tuple[bytes, str | None]], dict[str, str], str]] = [
    ({"n": (noise(10), BOX + "7 .5 .5 .1 .1\n")}, {}, r"labels/n.txt:2 +7 +class is not one of 0"),
    ({"n": (b"no image", BOX)}, {}, r"images/n.png .*not an AVIF, BMP"),
    ({"n": (noise(4), BOX)}, {}, r"(?s)1 images are in another.*n.png = .*test/t.png\nremove"),
    ({"n": (noise(3, "BMP"), BOX)}, {}, r"(?s)another split.*n.png = .*val/v.png"),
    ({"n": (noise(1), "1 .5 .5 .1 .1\n")}, {}, r"(?s)other labels:.*n.png = .*train/a.png\nkeep"),
    ({"n": (noise(9), BOX), "m": (noise(9), None)}, {}, r"(?s)with other labels:.*n.png = .*m.png"),
    ({"n": (noise(9), BOX)}, {"data.yaml": "names: [dog, cat, owl]"}, r"class 0 is 'dog' there"),
    ({"n": (noise(9), BOX)}, {"classes.txt": "cat\ndog\n"}, r"has 2 classes and the data set 3"),
    ({"n": (noise(9), BOX)}, {"labels/x.txt": BOX}, r"(?s)1 label files have no.*labels/x.txt"),
    ({"n": (noise(9), BOX)}, {"images/n.heic": ""}, r"n.heic' does not end like an image"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "more", "message"), BAD)
def test_a_folder_with_a_mistake_is_refused_whole(
    pets: Path, files: Any, more: dict[str, str], message: str
) -> None:
    new = arrive(pets / "new", {"fine": (noise(20), BOX), **files})
    for name, text in more.items():
        (new / name).write_text(text)
    before = {p: p.stat().st_mtime_ns for p in Path("data").rglob("*")}
    with pytest.raises(ValueError, match=message):
        add(load(), Order(folder=new))
    assert {p: p.stat().st_mtime_ns for p in Path("data").rglob("*")} == before


def test_a_flat_folder_gets_the_layout_of_the_rule(pets: Path) -> None:
    (pets / "flat/deep").mkdir(parents=True)
    (pets / "flat/deep/n.png").write_bytes(noise(10))
    (pets / "flat/deep/n.txt").write_text(BOX)
    (pets / "flat/classes.txt").write_text("cat\ndog\nowl\n")
    add(load(), Order(folder=pets / "flat", name="x", move=True))
    assert Path("data/pets/batches/x/labels/deep/n.txt").read_text() == BOX
    assert not (pets / "flat").exists()


def test_names_never_collide(pets: Path) -> None:
    for seed in (10, 11):
        add(load(), Order(folder=arrive(pets / f"{seed}/new", {"n": (noise(seed), BOX)})))
    for name, seed in (("new", 10), ("new-2", 11)):
        assert Path(f"data/pets/batches/{name}/images/n.png").read_bytes() == noise(seed)
    third = arrive(pets / "12/new", {"n": (noise(12), BOX)})
    with pytest.raises(ValueError, match=r"--name new: .*batches/new is there already"):
        add(load(), Order(folder=third, name="new"))
    with pytest.raises(ValueError, match="--name must be letters"):
        add(load(), Order(folder=third, name="../up"))


def test_the_test_split_stays_frozen(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(load(), Order(folder=arrive(pets / "one", {"n": (noise(10), BOX)})))
    more = arrive(pets / "two", {"m": (noise(11), BOX)})
    with pytest.raises(ValueError, match=r"--split test: .*add --new-test-split"):
        add(load(), Order(folder=more, split="test"))
    add(load(), Order(folder=more, split="val"))
    assert cli.run(["data", "status"]) == 0
    label = Path("data/pets/labels/test/t.txt")
    label.write_text("1 0.5 0.5 0.25 0.5\n")
    assert cli.run(["data", "status"]) == CHANGED
    assert "test: 1 images, 1 boxes, digest " in capsys.readouterr().out
    assert cli.run(["data", "status", "--json"]) == CHANGED
    found = json.loads(capsys.readouterr().out)
    assert (found["changed"], found["missing"], found["batches"]) == (["test"], {}, 2)
    assert {split: one["images"] for split, one in found["splits"].items()} == {
        "train": 3,
        "val": 2,
        "test": 1,
    }
    assert found["splits"]["test"]["frozen"] != found["splits"]["test"]["digest"]
    assert found["splits"]["val"]["frozen"] == found["splits"]["val"]["digest"]
    assert found["splits"]["train"]["frozen"] is None
    third = arrive(pets / "three", {"k": (noise(12), BOX)})
    with pytest.raises(ValueError, match=r"^test of .* changed since .* or accept it as the new"):
        add(load(), Order(folder=third))
    add(load(), Order(folder=third, split="test", new_test_split=True))
    assert cli.run(["data", "status"]) == 0
    assert splits("data/pets/data.yaml")["test"] == ["k.png", "t.png"]


def test_a_data_set_under_dvc_add_is_versioned_as_a_whole(pets: Path) -> None:
    dvc("add", "-q", "data/pets")
    before = Path("data/pets.dvc").read_text()
    add(load(), Order(folder=arrive(pets / "new", {"n": (noise(10), BOX)})))
    assert Path("data/pets.dvc").read_text() != before
    assert dvc("status") == "Data and pipelines are up to date.\n"
    assert not list(Path("data/pets").rglob("*.dvc"))
    assert [batch.name for batch in read_log(Path("data/pets.batches.yaml")).batches] == ["new"]


DVC_YAML = """\
stages:
  pets:
    cmd: cp -r ../source data/pets
    deps: [../source]
    outs: [data/pets]
  validate:
    cmd: cp ${data.config} seen.yaml
    deps: ["${data.config}", "${data.config}/../${data.root}"]
    outs: [seen.yaml]
"""


def test_what_a_stage_makes_gets_a_description_of_its_own(pets: Path) -> None:
    Path("data/pets").rename(pets / "source")
    Path("dvc.yaml").write_text(DVC_YAML)
    new = arrive(pets / "new", {"n": (noise(10), BOX)})
    with pytest.raises(
        ValueError, match=r"made by the stage pets and not there yet: run `dvc repro"
    ):
        add(load(), Order(folder=new))
    dvc("repro", "-q")
    was = Path("params.yaml").read_text()
    add(load(), Order(folder=new))
    assert splits("data/extended/data.yaml")["train"] == ["n.png", "a.png", "b.png"]
    assert (load().data.config, load().data.root) == ("data/extended/data.yaml", "..")
    lines = zip(was.splitlines(), Path("params.yaml").read_text().splitlines(), strict=True)
    assert sum(a != b for a, b in lines) == 2
    # both parts are seen, and the stage runs before what reads its output
    dvc("repro", "-q")
    assert Path("seen.yaml").read_bytes() == Path("data/extended/data.yaml").read_bytes()
    for file in (
        pets / "source/labels/train/a.txt",
        Path("data/extended/batches/new/labels/n.txt"),
    ):
        text = file.read_text()
        file.write_text("1 0.5 0.5 0.2 0.2\n")
        assert "validate" in dvc("status", "--json") or "pets" in dvc("status", "--json")
        file.write_text(text)
    subprocess.run(["rm", "-r", "data/pets"], check=True)
    assert dvc("dag", "--dot", "validate").count('-> "validate"') == 2
    dvc("repro", "-q")
    assert add(load(), Order(folder=new)).batch is None


KILLED = {
    "copying": "data_batch.hashlib.md5 = die",
    "before dvc add": "data_add.version = die",
    "before the log": "data_add.write_log = die",
    "before the description": "Path.replace = lambda a, b: die() if b.suffix == '.yaml' and"
    " b.parent.name == 'extended' and a.name.endswith('unfinished') else replace(a, b)",
    "before params.yaml": "data_add.use_data = die",
}


@pytest.mark.parametrize("moment", KILLED)
def test_a_kill_leaves_the_data_set_as_it_was_or_complete(pets: Path, moment: str) -> None:
    Path("dvc.yaml").write_text(DVC_YAML.replace("cp -r", "echo"))
    new = arrive(pets / "new", {"n": (noise(10), BOX), "m": (noise(11), BOX)})
    code = f"""\
import os, signal
from pathlib import Path
from pipeline.data import add as data_add, batch as data_batch
replace = Path.replace
def die(*arguments, **more): os.kill(os.getpid(), signal.SIGKILL)
{KILLED[moment]}
"""
    process = start(code, "add", str(new))
    process.communicate(timeout=60)
    assert process.returncode == -9
    now = splits(load().data.config)["train"]
    assert now == ["a.png", "b.png"]  # until params.yaml names the other description
    again = start("", "add", str(new))
    _, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    assert splits(load().data.config)["train"] == ["m.png", "n.png", "a.png", "b.png"]
    assert len(read_log(Path("data/extended/batches.yaml")).batches) == 1
    assert not list(Path("data").rglob("*unfinished*"))


def test_a_kill_before_the_version_of_a_whole_data_set_is_made_good(pets: Path) -> None:
    dvc("add", "-q", "data/pets")
    new = arrive(pets / "new", {"n": (noise(10), BOX)})
    code = "from pipeline.data import add; import os; add.version = lambda path: os.abort()"
    process = start(code, "add", str(new))
    process.communicate(timeout=60)
    assert process.returncode == -6
    assert "n.png" in splits("data/pets/data.yaml")["train"]
    assert dvc("status", "--json") != "{}\n"
    assert add(load(), Order(folder=new)).batch is None
    assert dvc("status", "--json") == "{}\n"


def test_a_failing_dvc_leaves_nothing_behind(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(path: Path) -> None:
        raise ValueError(f"`dvc add {path.name}` failed: it is busy")

    new = arrive(pets / "new", {"n": (noise(10), BOX)})
    monkeypatch.setattr(data_add, "version", busy)
    before = Path("data/pets/data.yaml").read_text()
    with pytest.raises(ValueError, match="it is busy"):
        add(load(), Order(folder=new, move=True))
    assert Path("data/pets/data.yaml").read_text() == before
    assert not list(Path("data/pets/batches").iterdir())
    assert (new / "images/n.png").exists()


def test_two_at_once_wait_for_each_other(pets: Path) -> None:
    folders = [arrive(pets / f"{n}/new", {f"n{n}": (noise(10 + n), BOX)}) for n in range(3)]
    running = [start("", "add", str(folder)) for folder in folders]
    ended = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], ended
    train = splits("data/pets/data.yaml")["train"]
    assert sorted(train) == ["a.png", "b.png", "n0.png", "n1.png", "n2.png"]
    names = [batch.name for batch in read_log(Path("data/pets/batches.yaml")).batches]
    assert sorted(names) == ["new", "new-2", "new-3"]


def test_the_data_set_itself_must_be_in_reach_and_right(pets: Path) -> None:
    new = arrive(pets / "new", {"n": (noise(10), BOX)})
    with pytest.raises(ValueError, match=r"images is a part of the data set .* already"):
        add(load(), Order(folder=Path("data/pets/images")))
    Path("data/pets/labels/val/v.txt").write_text("9 0.5 0.5 0.1 0.1\n")
    with pytest.raises(ValueError, match=r"has 1 mistakes itself, the first at labels/val/v.txt:1"):
        add(load(), Order(folder=new))
    Path("data/pets").rename(pets / "pets")
    Path("params.yaml").write_text(
        render("demo", changed(DEMO, {"data.config": "../pets/data.yaml"}))
    )
    with pytest.raises(
        ValueError, match=r"is not a folder below .*: move the data set to a folder"
    ):
        add(load(), Order(folder=new))


def test_a_description_that_holds_the_batches_anyway_is_refused(pets: Path) -> None:
    text = "train: .\nnames: [cat, dog, owl]\n"
    Path("data/pets/data.yaml").write_text(text)
    new = arrive(pets / "new", {"n": (noise(10), BOX)})
    with pytest.raises(ValueError, match="twice|let it name folders"):
        add(load(), Order(folder=new))
    assert Path("data/pets/data.yaml").read_text() == text
    assert not list(Path("data/pets/batches").iterdir())


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("train: [a, b] # c\nnames: [x]\n", "train: [a, b, n] # c\nnames: [x]\n"),
        ("train:\n- a # c\n# d\nnames: [x]\n", "train:\n- a # c\n- n\n# d\nnames: [x]\n"),
        ("val: 'v' # c\n\n# d\nnames: [x]\n", "val: 'v' # c\n\n# d\nnames: [x]\ntrain: n\n"),
    ],
)
def test_comments_of_a_description_stay_where_they_are(text: str, after: str) -> None:
    assert with_entry(text, "train", "n") == after
