"""What a stage has read must be the same at its end: edits of every kind while the stage runs."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.workspace.dvc_files import (
    code_version,
    dependencies,
    folder_state,
    parameters,
    read_yaml,
)
from pipeline.workspace.inputs import InputsChangedError, differences, read_inputs, unchanged

DVC_YAML = """\
stages:
  train:
    cmd: python train.py
    deps:
      - train.py
      - ${data.config}
      - ${data.config}/../${data.root}
    params: [model.image_size, train]
  other:
    cmd: python other.py
    deps: [other.py]
    params: [evaluate]
"""
PARAMS = """\
data: {config: set/data.yaml, root: files}
model: {image_size: 64, width: 0.5}
train:
  lr: 0.003
  loss: {noobj: 0.5, coord: 5}
machine: {device: auto}
evaluate: {seed: 1}
"""
ADVICE = (
    ". What it computed belongs to the old state, so the stage stays stale: run `dvc repro` again,"
    " or take the change back first (a training that is complete is then not repeated)"
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a stage with code, a file, a folder that has links, and parameters."""
    root = tmp_path / "here"
    (root / "set/files/deep").mkdir(parents=True)
    monkeypatch.chdir(root)
    (tmp_path / "disk/images").mkdir(parents=True)
    (tmp_path / "disk/images/far.jpg").write_bytes(b"far")
    texts = {
        "dvc.yaml": DVC_YAML,
        "params.yaml": PARAMS,
        "train.py": "print(1)\n",
        "other.py": "print(2)\n",
        "set/data.yaml": "names: [cat]\n",
        "set/files/deep/a.txt": "0 .5 .5 .2 .2\n",
    }
    for name, text in texts.items():
        Path(name).write_text(text)
    Path("set/files/linked").symlink_to(tmp_path / "disk")
    Path("set/files/deep/up").symlink_to("..")  # a cycle
    Path("set/files/broken").symlink_to("nowhere")
    return root


def replace(name: str, old: str, new: str) -> Callable[[], object]:
    path = Path(name)
    return lambda: path.write_text(path.read_text().replace(old, new))


EDITS: dict[str, tuple[Callable[[], object], str]] = {
    "parameter": (
        replace("params.yaml", "lr: 0.003", "lr: 0.01"),
        "params.yaml: train.lr 0.003, now 0.01",
    ),
    "nested parameter": (
        replace("params.yaml", "noobj: 0.5", "noobj: 1"),
        "params.yaml: train.loss.noobj 0.5, now 1",
    ),
    "parameter named alone": (
        replace("params.yaml", "image_size: 64", "image_size: 96"),
        "params.yaml: model.image_size 64, now 96",
    ),
    "parameter that went": (
        replace("params.yaml", "  lr: 0.003\n", ""),
        "params.yaml: train.lr 0.003, now null",
    ),
    "code": (replace("train.py", "1", "3"), "train.py"),
    "code that went": (lambda: Path("train.py").unlink(), "train.py is gone"),
    "a file that is a dependency": (replace("set/data.yaml", "cat", "dog"), "set/data.yaml"),
    "a file in a folder": (replace("set/files/deep/a.txt", ".5", ".25"), "set/files"),
    "as many bytes": (replace("set/files/deep/a.txt", ".5", ".4"), "set/files"),
    "a new file in a folder": (lambda: Path("set/files/new").touch(), "set/files"),
    "a file that went": (lambda: Path("set/files/deep/a.txt").unlink(), "set/files"),
    "a file behind a link": (
        lambda: Path("../disk/images/far.jpg").write_bytes(b"near"),
        "set/files",
    ),
    "the folder": (lambda: shutil.rmtree("set/files"), "set/files is gone"),
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_meanwhile_is_named_in_one_line(here: Path, what: str) -> None:
    edit, named = EDITS[what]
    with pytest.raises(InputsChangedError) as caught, unchanged("train"):
        edit()
    assert str(caught.value) == f"changed while the stage train ran: {named}{ADVICE}"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "edit",
    [
        lambda: None,
        replace("params.yaml", "device: auto", "device: cpu"),
        replace("params.yaml", "seed: 1", "seed: 2"),
        replace("params.yaml", "width: 0.5", "width: 1"),
        replace("params.yaml", "  lr: 0.003\n", "  lr: 3e-3 # the same\n"),
        replace("other.py", "2", "7"),
        lambda: Path("unrelated").write_text("x"),
        lambda: Path("train.py").touch(),
        lambda: Path("set/data.yaml").write_text(Path("set/data.yaml").read_text()),
    ],
)
def test_what_the_stage_does_not_read_may_change(here: Path, edit: Callable[[], object]) -> None:
    done = []
    with unchanged("train"):
        edit()
        done.append(1)
    assert done == [1]


def test_many_changes_are_counted(here: Path) -> None:
    def edit() -> None:
        Path("params.yaml").write_text(PARAMS.replace("0.003", "1"))
        Path("train.py").write_text("")
        Path("set/data.yaml").write_text("")
        Path("set/files/deep/a.txt").write_text("")

    named = r"train.lr 0.003, now 1; set/data.yaml; set/files and 1 more\. What"
    with pytest.raises(InputsChangedError, match=named), unchanged("train"):
        edit()


def test_a_data_set_that_was_exchanged_is_a_change(here: Path) -> None:
    """Another ``data.config`` means other dependencies: the old ones are no longer read."""
    Path("set/other.yaml").write_text("names: [cat]\n")
    with (
        pytest.raises(InputsChangedError, match="set/data.yaml is gone; set/other.yaml"),
        unchanged("train"),
    ):
        replace("params.yaml", "set/data.yaml", "set/other.yaml")()


def test_the_stages_own_failure_is_told_first(here: Path) -> None:
    def fail() -> None:
        Path("train.py").write_text("")
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"), unchanged("train"):
        fail()


def test_a_parameter_file_that_cannot_be_read_any_more(here: Path) -> None:
    with pytest.raises(ValueError, match="^params.yaml cannot be read as YAML"), unchanged("train"):
        Path("params.yaml").write_text("train: [\n")


def test_a_stage_that_dvc_does_not_know_reads_nothing(here: Path) -> None:
    assert read_inputs("nonsense") == {}
    assert (dependencies("nonsense"), parameters("nonsense")) == ([], {})


def test_dependencies_have_the_values_of_the_parameters(here: Path) -> None:
    assert dependencies("train") == ["train.py", "set/data.yaml", "set/files"]
    assert parameters("train") == {
        "model.image_size": 64,
        "train": {"lr": 0.003, "loss": {"noobj": 0.5, "coord": 5}},
    }
    Path("params.yaml").write_text("{}\n")
    assert dependencies("train")[1] == "${data.config}"
    assert parameters("train") == {"model.image_size": None, "train": None}


def test_code_version_is_of_the_code_alone(here: Path) -> None:
    before = code_version("train")
    Path("set/data.yaml").write_text("names: [owl]\n")
    Path("other.py").write_text("")
    assert code_version("train") == before
    Path("train.py").write_text("print(3)\n")
    assert code_version("train") != before


def test_differences_are_sorted_and_worded() -> None:
    before = {"b": "1", "a": "1", "params.yaml: x": '{"y": 1, "z": 2}'}
    after = {"b": "2", "params.yaml: x": '{"y": 1, "w": 3}'}
    assert differences(before, after) == [
        "a is gone",
        "b",
        "params.yaml: x.z 2, now null",
        "params.yaml: x.w null, now 3",
    ]
    assert differences(before, dict(before)) == []


def test_the_state_of_a_folder_is_places_sizes_and_times(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/x").write_bytes(b"one")
    os.utime(folder / "sub/x", ns=(0, 5_000))
    before = folder_state(folder)
    assert folder_state(folder) == before
    shutil.copytree(folder, tmp_path / "b")
    os.utime(tmp_path / "b/sub/x", ns=(0, 5_000))
    assert folder_state(tmp_path / "b") == before  # wherever it lies
    os.utime(folder / "sub/x", ns=(7, 5_000))  # read since
    assert folder_state(folder) == before
    os.utime(folder / "sub/x", ns=(0, 6_000))
    assert folder_state(folder) != before
    os.utime(folder / "sub/x", ns=(0, 5_000))
    (folder / "sub/x").rename(folder / "sub/y")
    assert folder_state(folder) != before


def test_cycles_of_links_end(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/self").symlink_to(".")
    (tmp_path / "a/b/top").symlink_to(tmp_path)
    (tmp_path / "a/b/loop").symlink_to("loop")
    (tmp_path / "a/b/x").write_text("1")
    before = folder_state(tmp_path / "a")
    (tmp_path / "beside").write_text("seen through a/b/top")
    assert folder_state(tmp_path / "a") != before


def test_names_that_are_no_text_have_a_state(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9")).write_text("x")
    assert len(folder_state(tmp_path)) == 64


def test_no_file_is_empty_and_no_yaml_is_told(tmp_path: Path) -> None:
    assert read_yaml(tmp_path / "no.yaml") == {}
    (tmp_path / "bad.yaml").write_text("a: [\n")
    with pytest.raises(ValueError, match=r"bad\.yaml cannot be read as YAML: while parsing"):
        read_yaml(tmp_path / "bad.yaml")
