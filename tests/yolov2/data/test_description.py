import json
import os
import re
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.datasets import picture, write_dataset
from yolov2.config.data import DataConfig
from yolov2.data.description import (
    DataDescription,
    check_watched,
    label_path,
    read_description,
    watched_folder,
)

ROOT = Path(__file__).resolve().parents[3]


def write(root: Path, text: str, *images: str) -> Path:
    """A description and empty image files; reading a description opens no image."""
    for name in images:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    root.mkdir(parents=True, exist_ok=True)
    (root / "data.yaml").write_text(text, encoding="utf-8")
    return root / "data.yaml"


def names_of(description: DataDescription, split: str) -> list[str]:
    return [path.relative_to(description.root).as_posix() for path in description.images[split]]


def fails(file: Path, *parts: str) -> None:
    with pytest.raises(ValueError, match=".") as error:
        read_description(file)
    text = str(error.value)
    assert "\n" not in text
    for part in (str(file), *parts):
        assert part in text, text


# --- where the images are


def test_root_is_the_own_folder_and_images_are_sorted(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "train: images/train\nval: images/val\ntest:\nnames: {0: cat, 1: dog}\nnc: 2\n",
        *("images/train/b.jpg", "images/train/deep/a.PNG", "images/train/a.jpeg"),
        *("images/val/v.bmp", "images/train/labels.cache", "images/train/.hidden.jpg"),
    )
    description = read_description(file)
    assert description.file == file
    assert description.root == tmp_path.resolve()
    assert description.class_names == ("cat", "dog")
    assert list(description.images) == ["train", "val"]
    assert names_of(description, "train") == [
        *("images/train/a.jpeg", "images/train/b.jpg", "images/train/deep/a.PNG")
    ]


def test_list_of_folders_and_text_files(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "train: [images/one, images/two, lists/more.txt]\nval: lists/val.txt\nnc: 1\n",
        *("images/one/1.jpg", "images/two/2.jpg", "images/3.jpg", "images/4.jpg"),
    )
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/more.txt").write_bytes(
        b"\xef\xbb\xbf./../images/3.jpg\r\n\r\n  " + bytes(tmp_path / "images/4.jpg") + b"\r\n"
    )
    # bare relative lines belong to the data root unless the working directory has them
    (tmp_path / "lists/val.txt").write_text("images/absent.jpg\nimages/also.jpg\n")
    description = read_description(file)
    assert description.class_names == ("class_0",)
    assert names_of(description, "train") == [
        *("images/3.jpg", "images/4.jpg", "images/one/1.jpg", "images/two/2.jpg")
    ]
    assert names_of(description, "val") == ["images/absent.jpg", "images/also.jpg"]


def test_relative_path_is_looked_for_as_documented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, own, datasets = tmp_path / "work", tmp_path / "own", tmp_path / "somewhere"
    monkeypatch.chdir((work.mkdir(), work)[1])
    file = write(own, "path: pets\ntrain: images\nnames: [cat]\n")
    monkeypatch.setenv("YOLOV2_DATASETS_DIR", str(datasets))
    fails(file, ":1: path: folder 'pets' not found", f"{work / 'pets'}, {own / 'pets'}")
    # each place found later hides the one before; a folder without the splits hides none
    (work / "pets").mkdir()
    for base in (datasets, own, work):
        (base / "pets/images").mkdir(parents=True)
        (base / "pets/images/x.jpg").touch()
        assert read_description(file).root == base / "pets"


def test_default_datasets_folder_is_beside_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("YOLOV2_DATASETS_DIR", raising=False)
    file = write(tmp_path / "own", "path: pets\ntrain: images\nnames: [cat]\n")
    write(tmp_path / "datasets/pets", "", "images/x.jpg")
    assert read_description(file).root == tmp_path / "datasets/pets"


def test_roboflow_paths_are_tried_without_dots(tmp_path: Path) -> None:
    text = "train: ../train/images\nval: ../valid/images\nnc: 1\nnames: ['cat']\n"
    file = write(tmp_path, text, "train/images/a.jpg", "valid/images/b.jpg")
    description = read_description(file)
    assert names_of(description, "train") == ["train/images/a.jpg"]
    assert names_of(description, "val") == ["valid/images/b.jpg"]


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ("../test/images", "'../test/images' not found under the data root"),
        ("hollow", "no images in '"),
        ("[hollow, ../gone]", "no images in '"),
    ],
)
def test_a_test_split_that_is_not_there_is_noted(tmp_path: Path, test: str, reason: str) -> None:
    text = f"train: ../train/images\nval: ../valid/images\ntest: {test}\nnc: 1\n"
    file = write(tmp_path, text, "train/images/a.jpg", "valid/images/b.jpg")
    (tmp_path / "hollow").mkdir()
    description = read_description(file)
    assert list(description.images) == ["train", "val"]
    (note,) = description.notes
    assert note.startswith(f"{file}:3: test: {reason}")
    assert note.endswith(": the data set has no test split")


def test_what_a_stage_needs_must_be_there(tmp_path: Path) -> None:
    images = ("train/a.jpg", "val/b.jpg", "test/c.jpg")
    fails(write(tmp_path, "train: train\nval: gone\nnc: 1\n", *images), ":2: val: 'gone' not found")
    fails(write(tmp_path, "train: gone\nval: val\nnc: 1\n"), ":1: train: 'gone' not found")
    fails(write(tmp_path, "test: gone\nnc: 1\n"), ":1: test: 'gone' not found under the data root")
    # half a test split is another measure
    text = "train: train\ntest: [test, gone]\nnc: 1\n"
    fails(write(tmp_path, text), ":2: test: 'gone' not found")
    assert read_description(write(tmp_path, "train: train\nnc: 1\n")).notes == ()


def test_the_data_root_is_where_most_splits_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, own = tmp_path / "work", tmp_path / "own"
    (work / "pets").mkdir(parents=True)
    monkeypatch.chdir(work)
    text = "path: pets\ntrain: train\nval: val\ntest: gone\nnc: 1\n"
    file = write(own, text, "pets/train/a.jpg", "pets/val/b.jpg")
    assert read_description(file).root == own / "pets"


def test_links_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    real = tmp_path / "disk"
    write(real, "train: images\nval: val.txt\nnames: [cat]\n", "images/a/1.jpg", "more/2.jpg")
    (tmp_path / "link").symlink_to(real)
    (real / "images/other").symlink_to(real / "more")
    (real / "images/a/loop").symlink_to(real / "images")
    (real / "images/gone.jpg").symlink_to(real / "nowhere")
    (real / "val.txt").write_text(f"{tmp_path}/link/more/3.jpg\n")
    description = read_description(tmp_path / "link/data.yaml")
    assert description.root == real
    train = ["images/a/1.jpg", "images/gone.jpg", "images/other/2.jpg"]
    assert names_of(description, "train") == train
    assert names_of(description, "val") == ["more/3.jpg"]


def test_nothing_in_a_description_is_executed(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    text = f"train: images\nnames: [cat]\ndownload: |\n  import os\n  os.mkdir('{trap}')\n"
    read_description(write(tmp_path, text, "images/a.jpg"))
    file = write(tmp_path, f"names: !!python/object/apply:os.mkdir ['{trap}']\n")
    fails(file, "data.yaml:1: not valid YAML")
    file = write(tmp_path, f"train: images\nnames: [cat]\ndownload: bash -c 'mkdir {trap}'\n")
    assert read_description(file).class_names == ("cat",)
    assert not trap.exists()


def test_bccd(bccd: Path) -> None:
    description = read_description(bccd / "data.yaml")
    assert description.class_names == ("RBC", "WBC", "Platelets")
    counts = {split: len(images) for split, images in description.images.items()}
    assert counts == {"train": 205, "val": 87, "test": 72}


def test_coco_as_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOLOV2_DATASETS_DIR", str(tmp_path))
    write(tmp_path / "coco", "", "images/train2017/1.jpg", "images/val2017/2.jpg")
    description = read_description(ROOT / "data/coco.yaml")
    assert len(description.class_names) == 80
    known = {0: "person", 11: "stop sign", 37: "surfboard", 63: "laptop", 79: "toothbrush"}
    assert {number: description.class_names[number] for number in known} == known
    with pytest.raises(ValueError, match=r"data\.root: '\.' makes DVC watch"):
        check_watched(description, DataConfig(config=str(ROOT / "data/coco.yaml")))


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("/d/images/train/a.jpg", "/d/labels/train/a.txt"),
        ("/images/d/images/a.b.jpg", "/images/d/labels/a.b.txt"),  # only the last
        ("images/a.jpg", "labels/a.txt"),
        ("/d/myimages/a.jpg", "/d/myimages/a.txt"),
        ("/d/train/images.jpg", "/d/train/images.txt"),
    ],
)
def test_label_path(image: str, label: str) -> None:
    assert label_path(Path(image)) == Path(label)


# --- what a person can get wrong


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("train: images\nnames: [a, b]\nnc: 3\n", ":3: nc: is 3, but names has 2 classes"),
        ("train: images\nnames: [a, b, a]\n", ":2: names: 'a' is the name of class 0 and of"),
        ("train: images\nnames: {0: a, 2: b}\n", ":2: names: class numbers must run from 0 to 1"),
        ("train: images\nnames: {0: a, 0: b}\n", ":2: 0: given twice, first on line 2"),
        ("train: images\nnames: [yes, no]\n", ":2: names: class 0 is True for YAML, not text"),
        (
            "train: images\nnames: [a, 007]\n",
            ":2: names: class 1 is 007 (7 for YAML), not text: put",
        ),
        ("train: images\nnames: [010]\n", ":2: names: class 0 is 010 (8 for YAML), not text: put"),
        ("train: images\nnames: [12:30]\n", ":2: names: class 0 is 12:30 (750 for YAML), not text"),
        ("train: images\nnames: [1_000]\n", ":2: names: class 0 is 1_000 (1000 for YAML), not te"),
        ("train: images\nnames: [0x1F]\n", ":2: names: class 0 is 0x1F (31 for YAML), not text"),
        ("train: images\nnames: {a: +5}\n", ":2: names: class numbers must run from 0 to 0"),
        ("train: images\nnames: {0: +5}\n", ":2: names: class 0 is +5 (5 for YAML), not text: put"),
        (
            "train: images\nnames: {0: a, 01: b}\n",
            ":2: names: class number 01 (1 for YAML): write 1",
        ),
        (
            "train: images\nnc: 010\n",
            ":2: nc: must be the number of classes (1 to 1,000,000), not 010 (8",
        ),
        (
            "train: images\nnc: 2500000\n",
            ":2: nc: must be the number of classes (1 to 1,000,000), no",
        ),
        (
            "train: 12:30\nnc: 1\n",
            ":1: train: must be a folder, a list of folders or a .txt file, not 12:30",
        ),
        ("train: 2024\nnc: 1\n", "not 2024: put it in quotes if that is its name"),
        (
            'train: images\nnames:\n- "\\ud83d"\n',
            ":3: not valid YAML: half a character, '\\ud83d': write the whole one",
        ),
        (
            "train: images\nnames: &a [x, *a]\n",
            ":2: names: the alias *name stands inside what it nam",
        ),
        ("names: " + "[" * 999 + "]" * 999, "not valid YAML: "),
        ("train: images\nnames: [a, ' ']\n", ":2: names: class 1 has an empty name"),
        ("train: images\nnames: cat\n", ":2: names: must be a list of class names, not 'cat'"),
        ("train: images\nnames: []\n", ":2: names: must be a list of class names, not []"),
        ("train: images\nnc: 0\n", ":2: nc: must be the number of classes (1 to 1,000,000), not 0"),
        ("train: images\n", "names is missing"),
        ("names: [a]\n", "no split: give at least train"),
        ("names: [a]\ntrain: [1]\n", ":2: train: must be a folder, a list of folders or a .txt"),
        ("train: images\ntrain: other\nnames: [a]\n", ":2: train: given twice, first on line 1"),
        ("train: pictures\nnames: [a]\n", ":1: train: 'pictures' not found under the data root"),
        ("train: images\nval: empty\nnames: [a]\n", ":2: val: no images in '"),
        ("train: notes.md\nnames: [a]\n", "notes.md' is neither a folder nor a .txt list"),
        ("train: out.txt\nnames: [a]\n", ":1: train: the image '/elsewhere/images/1.jpg' lies"),
        ("train: odd.txt\nnames: [a]\n", ":1: train: '/elsewhere/film.mp4' does not end like an"),
        ("train: clips\nnames: [a]\n", "film.mp4' does not end like an image (.avif .bmp"),
        ("train: [images, images/x]\nnames: [a]\n", "x/2.jpg' twice"),
        ("train: images\nval: images/x\nnames: [a]\n", ":2: val: 1 images are also in train"),
        ("path: 7\ntrain: images\nnames: [a]\n", ":1: path: must be a folder, not 7"),
        ("train: images\nnames: [a\nnc: 1\n", ":3: not valid YAML: "),
        ("train: im\x07ages\n", ":1: not valid YAML: special characters are not allowed"),
        ("when: 2020-99-99\n", "not valid YAML: month must be in 1..12"),
        ("- train\n- val\n", "must hold keys"),
        ("", "must hold keys"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, part: str) -> None:
    file = write(tmp_path, text, "images/1.jpg", "images/x/2.jpg", "clips/film.mp4", "notes.md")
    (tmp_path / "empty").mkdir()
    (tmp_path / "out.txt").write_text("/elsewhere/images/1.jpg\n")
    (tmp_path / "odd.txt").write_text("/elsewhere/film.mp4\n")
    fails(file, part)


BACKSLASHES = "'images\\train\\a.jpg' has Windows's backslashes: "


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (r"images\train\a.jpg", [BACKSLASHES + "write '/' (sed -i 's#[\\]#/#g' {list})"]),
        (
            r"C:\pets\images\a.jpg",
            ["'C:\\pets\\images\\a.jpg' is a path on a Windows machine: write"],
        ),
        (
            "data/images/train/a.jpg",
            ["there, but 'images/train/a.jpg' is", "'data/' too many", "CVAT"],
        ),
        (
            "x/y/images/train/a.jpg",
            ["'x/y/images/train/a.jpg' is not there, but", "'x/y/' too many"],
        ),
    ],
)
def test_lists_from_elsewhere_say_what_they_are(
    tmp_path: Path, line: str, parts: list[str]
) -> None:
    file = write(tmp_path, "train: t.txt\nnc: 1\n", "images/train/a.jpg", "images/train/b.jpg")
    (tmp_path / "t.txt").write_text(f"{line}\n{line.replace('a.jpg', 'b.jpg')}\n")
    places = [part.replace("{list}", str(tmp_path / "t.txt")) for part in parts]
    fails(file, ":1: train: ", f"{tmp_path / 't.txt'}:1: ", *places)


def test_what_a_list_may_hold_all_the_same(tmp_path: Path) -> None:
    # a backslash may be a part of a name, and an image may be missing that another folder has
    file = write(tmp_path, "train: t.txt\nnc: 1\n", "a\\b.jpg", "x/c.jpg", "d.jpg")
    (tmp_path / "t.txt").write_text("a\\b.jpg\nx/c.jpg\nx/d.jpg\n")
    assert names_of(read_description(file), "train") == ["a\\b.jpg", "x/c.jpg", "x/d.jpg"]


def test_backslashes_in_a_description(tmp_path: Path) -> None:
    images = ("images/train/a.jpg",)
    fails(
        write(tmp_path, "train: images\\train\nnc: 1\n", *images),
        "'images\\train' not found",
        "'/'",
    )
    file = write(tmp_path, "path: C:\\pets\ntrain: images\nnc: 1\n", *images)
    fails(file, ":1: path: folder 'C:\\pets' not found", "a path on a Windows machine")


OBJ_DATA = """\
classes = 3
train = data/train.txt
valid = data/valid.txt
names = data/obj.names
backup = backup/
"""


@pytest.mark.parametrize("text", [OBJ_DATA, "classes=1\ntrain  = C:\\x: y\n", "# c\nnames = x\n"])
def test_darknets_obj_data_is_recognised(tmp_path: Path, text: str) -> None:
    file = tmp_path / "obj.data"
    file.write_text(text)
    with pytest.raises(ValueError, match="obj.data") as error:
        read_description(file)
    assert str(error.value) == (
        f"{file} is a description for darknet (key = value, as CVAT's export YOLO 1.1 has it):"
        " write a .yaml beside it with `train:` and `val:` (the same lists of images) and `names:`"
        " (a list of the lines of its .names file)"
    )


def test_file_that_is_no_description(tmp_path: Path) -> None:
    fails(tmp_path / "none.yaml", "not found: name the description of a data set")
    fails(tmp_path, "is a folder: name the .yaml file in it")
    (tmp_path / "picture.yaml").write_bytes(picture())
    fails(tmp_path / "picture.yaml", "is not a UTF-8 text file")


def test_name_that_is_not_utf8(tmp_path: Path) -> None:
    file = write(tmp_path, "train: images\nnames: [a]\n", "images/été.jpg")
    assert names_of(read_description(file), "train") == ["images/été.jpg"]
    try:
        Path(os.fsdecode(bytes(tmp_path) + b"/images/\xe9.jpg")).touch()
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    fails(file, ":1: train: the name of the image", "\\udce9.jpg' is not UTF-8: rename it")


def bomb(key: str, levels: int) -> str:
    """A description whose ``key`` says ``x`` nine to the power of ``levels`` times."""
    names = [f"a{level}" for level in range(levels)]
    lines = [f"{names[0]}: &{names[0]} [{', '.join(['x'] * 9)}]"]
    lines += [
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]" for before, name in pairwise(names)
    ]
    return "\n".join([*lines, f"{key}: *{names[-1]}\n"])


@pytest.mark.parametrize("levels", [7, 60])
@pytest.mark.parametrize("key", ["names", "train", "path", "nc"])
def test_aliases_cannot_blow_up(tmp_path: Path, key: str, levels: int) -> None:
    start = time.process_time()
    rest = {"train": "images", "names": "[a]", "path": ".", "nc": "1"}
    text = "".join(f"{name}: {value}\n" for name, value in rest.items() if name != key)
    file = write(tmp_path, text + bomb(key, levels), "images/a.jpg")
    with pytest.raises(
        ValueError, match=r"data.yaml:\d+: \w+: its aliases \(\*name\) repeat"
    ) as error:
        read_description(file)
    assert len(str(error.value)) < 300 + len(str(tmp_path))
    assert time.process_time() - start < 2


def test_aliases_are_allowed_in_reason(tmp_path: Path) -> None:
    text = (
        "more: &more [images/a, images/b]\ntrain: *more\nnames: &n [x, &y z]\nold: [*n, *n, *y]\n"
    )
    file = write(tmp_path, text, "images/a/1.jpg", "images/b/2.jpg")
    assert read_description(file).class_names == ("x", "z")


def test_long_values_are_cut_in_messages(tmp_path: Path) -> None:
    file = write(tmp_path, f"train: images\nnames: {'n' * 200_000}\n")
    with pytest.raises(ValueError, match="must be a list of class names, not 'nnn") as error:
        read_description(file)
    assert len(str(error.value)) < 300 + len(str(tmp_path))


def test_a_description_written_as_json(tmp_path: Path) -> None:
    names = ["猫", "😀", "é", "a\\b"]
    text = json.dumps({"train": "images/😀", "names": names})
    assert "\\ud83d\\ude00" in text  # JSON has no other way to write it in ASCII
    description = read_description(write(tmp_path, text, "images/😀/1.jpg"))
    assert description.class_names == tuple(names)
    assert names_of(description, "train") == ["images/😀/1.jpg"]
    text = json.dumps({"train": "images/😀", "names": {"0": "😀"}})
    assert read_description(write(tmp_path, text)).class_names == ("😀",)


def test_whole_numbers_are_names_as_they_are_written(tmp_path: Path) -> None:
    file = write(tmp_path, "train: images\nnames: [0, 10, '007', '12:30', 08]\n", "images/a.jpg")
    assert read_description(file).class_names == ("0", "10", "007", "12:30", "08")


# --- what DVC watches


def test_watched_folder_must_hold_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = write_dataset(tmp_path / "big/pets", {"train": {"a": ""}})
    own = DataConfig(config="big/pets/data.yaml")
    assert watched_folder(own) == tmp_path / "big/pets"
    check_watched(read_description(Path(own.config)), own)
    Path("data").mkdir()
    text = "path: big/pets\n" + file.read_text()
    Path("data/pets.yaml").write_text(text)
    apart = DataConfig(config="data/pets.yaml")
    description = read_description(Path(apart.config))
    right = "-S data.root=../big/pets"
    with pytest.raises(ValueError, match=re.escape(right)) as error:
        check_watched(description, apart)
    assert f"data.root: '.' makes DVC watch {tmp_path / 'data'}" in str(error.value)
    for root in ("../big/pets", "../big", ".."):
        check_watched(description, DataConfig(config="data/pets.yaml", root=root))
    # what DVC takes only in quotes of its own
    (tmp_path / "big/pets").rename(tmp_path / "big/mein Kätzchen (1)")
    Path("data/pets.yaml").write_text(text.replace("big/pets", "big/mein Kätzchen (1)"))
    odd = "../big/mein Kätzchen (1)"
    with pytest.raises(ValueError, match=re.escape(f"-S 'data.root=\"{odd}\"')")):
        check_watched(read_description(Path(apart.config)), apart)
    (tmp_path / "big/mein Kätzchen (1)").rename(tmp_path / "big/pets")
    # a sibling whose name begins alike is another folder
    Path("big/pe").mkdir()
    with pytest.raises(ValueError, match=re.escape(right)):
        check_watched(description, DataConfig(config="data/pets.yaml", root="../big/pe"))
