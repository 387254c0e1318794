from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from tests.datasets import picture, write_dataset
from yolov2.config import Policy, ValidateConfig
from yolov2.data.checks import load_tables
from yolov2.data.description import read_description
from yolov2.data.images import NO_FORMAT
from yolov2.data.problems import KINDS, DataError, Kind, Problem, errors, format_problems
from yolov2.data.rules import policies
from yolov2.data.table import LabelTables, describe

GOOD = "0 0.5 0.5 0.25 0.5\n"


def load(root: Path, config: ValidateConfig) -> tuple[LabelTables, list[Problem]]:
    return load_tables(read_description(root / "data.yaml"), config)


def everything(policy: Policy) -> ValidateConfig:
    return ValidateConfig(**dict.fromkeys(KINDS, policy))


def kept(tables: LabelTables) -> list[tuple[str, int]]:
    return list(zip(tables.labels["file"], tables.labels["line"], strict=True))


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """One mistake of each kind; a good box in every file, and an image without objects."""
    write_dataset(
        tmp_path,
        {
            "train": {
                "good": GOOD + "2 0.5 0.5 1.0 1.0\n",
                "class": GOOD + "3 0.5 0.5 0.1 0.1\n",
                "duplicate": GOOD + "1 0.5 0.5 0.25 0.5\n0 .5 .50 2.5e-1 .5\n",
                "line": GOOD + "0 0.5 0.5 0.1\n",
                "none": None,
                "outside": GOOD + "1 0.9 0.5 0.3 0.1\n",
                "zero": GOOD + "1 0.5 0.5 0.1 0\n",
                "cut": GOOD,
            },
            "val": {"here": GOOD},
        },
        images={"train/cut.jpg": picture()[:-200]},
    )
    (tmp_path / "val.txt").write_text("./images/val/here.jpg\n./images/val/gone.jpg\n")
    (tmp_path / "labels/val/gone.txt").write_text(GOOD)
    (tmp_path / "data.yaml").write_text("train: images/train\nval: val.txt\nnames: [a, b, c]\n")
    return tmp_path


PLANTED: dict[Kind, tuple[str, int | None, str, str, str]] = {
    "class_out_of_range": (
        "labels/train/class.txt",
        2,
        "3",
        "class is not one of 0 to 2",
        "correct it, or names in the description",
    ),
    "unreadable_image": (
        "images/train/cut.jpg",
        None,
        "image file is truncated (",
        "image cannot be decoded",
        "replace or delete the image",
    ),
    "duplicate": (
        "labels/train/duplicate.txt",
        3,
        "line 1",
        "repeats an earlier line",
        "delete one of them",
    ),
    "malformed_line": (
        "labels/train/line.txt",
        2,
        "0 0.5 0.5 0.1",
        "4 columns instead of 5",
        "write: class cx cy w h",
    ),
    "outside_image": (
        "labels/train/outside.txt",
        2,
        "right=1.05",
        "the box leaves the image",
        "cut the box at the edge",
    ),
    "zero_size": (
        "labels/train/zero.txt",
        2,
        "w=0.1 h=0",
        "the box has no area",
        "correct or delete the line",
    ),
    "missing_image": (
        "images/val/gone.jpg",
        None,
        "no such file",
        "image not found",
        "restore it, or take it off the list",
    ),
}
"""File, line, start of the value, message and advice, in the order of the report."""


def test_each_mistake_is_found_once_with_its_place(planted: Path) -> None:
    _, problems = load(planted, ValidateConfig())
    assert [problem.kind for problem in problems] == list(PLANTED)
    assert set(PLANTED) == set(KINDS) == set(get_args(Kind))
    for problem in problems:
        file, line, value, message, advice = PLANTED[problem.kind]
        found = (problem.file, problem.line, problem.message, problem.advice, problem.policy)
        assert found == (file, line, message, advice, "error")
        assert problem.value.startswith(value)


ALWAYS_KEPT = [
    ("labels/train/class.txt", 1),
    ("labels/train/duplicate.txt", 1),
    ("labels/train/duplicate.txt", 2),
    ("labels/train/good.txt", 1),
    ("labels/train/good.txt", 2),
    ("labels/train/line.txt", 1),
    ("labels/train/outside.txt", 1),
    ("labels/train/zero.txt", 1),
    ("labels/val/here.txt", 1),
]


@pytest.mark.parametrize("policy", ["warn", "drop", "ignore"])
def test_policies(planted: Path, policy: Policy) -> None:
    tables, problems = load(planted, everything(policy))
    assert [problem.kind for problem in problems] == ([] if policy == "ignore" else list(PLANTED))
    usable = [("labels/train/duplicate.txt", 3), ("labels/train/outside.txt", 2)]
    assert kept(tables) == sorted(ALWAYS_KEPT + (usable if policy != "drop" else []))
    images = tables.images.set_index("image")
    assert "images/train/cut.jpg" not in images.index
    assert "images/val/gone.jpg" not in images.index
    assert images.loc["images/train/none.jpg", "objects"] == 0
    assert images["image_id"].tolist() == list(range(8))
    outside = tables.labels[tables.labels["file"] == "labels/train/outside.txt"]
    if policy != "drop":
        assert outside.iloc[1][["cx", "cy", "w", "h"]].tolist() == [0.9, 0.5, 0.3, 0.1]


@pytest.mark.parametrize("kind", KINDS)
def test_one_error_stops_and_names_all_of_its_policy(planted: Path, kind: Kind) -> None:
    config = replace(everything("warn"), **{kind: "error"})
    _, problems = load(planted, config)
    assert [problem.kind for problem in problems] == list(PLANTED)
    assert [problem.kind for problem in errors(problems)] == [kind]
    file, line, _, message, advice = PLANTED[kind]
    where = file if line is None else f"{file}:{line}"
    first, header, row, last = str(DataError(problems)).split("\n")
    assert first == f"the data has mistakes (1 {kind}):"
    assert header.split() == [*("file:line", "value", "what", "is", "wrong", "what", "to", "do")]
    assert row.startswith(where)
    assert message in row
    assert row.endswith(advice)
    assert f"({kind}: warn, drop or ignore)" in last


def test_edge_tolerance(tmp_path: Path) -> None:
    lines = ["0 0.9 0.5 0.20001 0.1", "0 0.9 0.5 0.20003 0.1", "0 0.5 0.05 0.1 0.10003"]
    write_dataset(tmp_path, {"train": {"a": "\n".join(lines)}})
    tables, problems = load(tmp_path, replace(everything("drop"), edge_tolerance=1e-5))
    assert [(one.line, one.value) for one in problems] == [
        (2, "right=1.000015"),
        (3, "top=-1.5e-05"),
    ]
    # within the tolerance nothing is changed
    assert tables.labels["w"].tolist() == [0.20001]
    _, problems = load(tmp_path, replace(everything("drop"), edge_tolerance=0.0))
    assert [one.line for one in problems] == [1, 2, 3]


def test_boxes_in_pixels_are_recognised(tmp_path: Path) -> None:
    write_dataset(tmp_path, {"train": {"a": "0 320 240 64 48\n0 1e308 1e308 1e308 1.7e308\n"}})
    tables, problems = load(tmp_path, ValidateConfig(outside_image="warn"))
    assert {one.advice for one in problems} == {"divide pixels by the image's size"}
    assert problems[0].value == "left=288 top=216 right=352 bottom=264"
    assert len(tables.labels) == 2


def test_negative_size_is_zero_size_and_may_be_outside_too(tmp_path: Path) -> None:
    write_dataset(tmp_path, {"train": {"a": "0 .5 .5 -.1 .1\n0 .01 .5 -.1 .1\n"}})
    _, problems = load(tmp_path, ValidateConfig())
    found = [(one.line, one.kind, one.value) for one in problems]
    assert found == [
        (1, "zero_size", "w=-0.1 h=0.1"),
        (2, "outside_image", "left=-0.04"),
        (2, "zero_size", "w=-0.1 h=0.1"),
    ]


def test_duplicates_are_told_apart_by_file_class_and_every_number(tmp_path: Path) -> None:
    same = "1 .5 .5 .2 .2\n"
    others = "2 .5 .5 .2 .2\n1 .4 .5 .2 .2\n1 .5 .4 .2 .2\n1 .5 .5 .1 .2\n1 .5 .5 .2 .1\n"
    write_dataset(tmp_path, {"train": {"a": same + others, "b": same + "\n" + same + same}})
    tables, problems = load(tmp_path, everything("drop"))
    assert [(one.where, one.value) for one in problems] == [
        ("labels/train/b.txt:3", "line 1"),
        ("labels/train/b.txt:4", "line 1"),
    ]
    assert len(tables.labels) == 7


def test_garbage_label_files(tmp_path: Path) -> None:
    write_dataset(
        tmp_path,
        {
            "train": {
                "binary": picture(),
                "good": GOOD,
                "huge": "99999999999999999999999 .5 .5 .1 .1",
                "minus": "-1 .5 .5 .1 .1",
            }
        },
    )
    (tmp_path / "labels/train/lost.txt").symlink_to("nowhere")
    (tmp_path / "images/train/lost.jpg").write_bytes(picture())
    tables, problems = load(tmp_path, ValidateConfig())
    assert [(one.kind, one.where, one.value) for one in problems] == [
        ("malformed_line", "labels/train/binary.txt", ""),
        ("class_out_of_range", "labels/train/huge.txt:1", "2147483647"),
        (
            "malformed_line",
            "labels/train/lost.txt",
            "a link to a file that does not exist",
        ),
        ("class_out_of_range", "labels/train/minus.txt:1", "-1"),
    ]
    assert kept(tables) == [("labels/train/good.txt", 1)]


def test_garbage_images(tmp_path: Path) -> None:
    stems = ("empty", "good", "text")
    images = {"train/empty.jpg": b"", "train/text.jpg": b"not a picture"}
    write_dataset(tmp_path, {"train": dict.fromkeys(stems, GOOD)}, images=images)
    tables, problems = load(tmp_path, everything("drop"))
    assert [(one.kind, one.file, one.value) for one in problems] == [
        ("unreadable_image", "images/train/empty.jpg", "the file is empty"),
        ("unreadable_image", "images/train/text.jpg", NO_FORMAT),
    ]
    assert tables.images["image"].tolist() == ["images/train/good.jpg"]
    assert kept(tables) == [("labels/train/good.txt", 1)]


def test_split_without_labels_or_images_left(tmp_path: Path) -> None:
    write_dataset(tmp_path, {"train": {"a": GOOD}, "val": {"b": None, "c": None}})
    with pytest.raises(ValueError, match="val: none of its 2 images has a label file; the first"):
        load(tmp_path, ValidateConfig())
    (tmp_path / "labels/val/b.txt").touch()
    load(tmp_path, ValidateConfig())
    for name in "bc":
        (tmp_path / f"images/val/{name}.jpg").write_bytes(b"")
    # where they are to be reported as errors, they are
    assert len(load(tmp_path, ValidateConfig())[1]) == 2
    with pytest.raises(ValueError, match=r"none of its images can be read; .*val/b.jpg': the file"):
        load(tmp_path, everything("drop"))


def test_labels_outside_the_data_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dataset(tmp_path, {"train": {"a": GOOD}})
    (tmp_path / "data.yaml").write_text("path: images\ntrain: train\nnames: [a]\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="would lie outside the data root"):
        load(tmp_path, ValidateConfig())


def test_progress_counts_every_image(tmp_path: Path) -> None:
    file = write_dataset(tmp_path, {"train": dict.fromkeys("abc", GOOD)})
    calls: list[tuple[int, int]] = []
    load_tables(
        read_description(file), ValidateConfig(), lambda done, total: calls.append((done, total))
    )
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_policies_cover_every_kind() -> None:
    assert list(policies(ValidateConfig())) == list(KINDS)


def test_long_lists_are_cut_and_values_made_safe() -> None:
    problems = [
        Problem(
            kind="malformed_line",
            policy="error",
            file="labels/a.txt",
            line=line,
            value="\x1b[31m" + "x" * 100,
            message="wrong",
            advice="mend it",
        )
        for line in range(1, 61)
    ]
    lines = format_problems(problems, report="reports/validation.json").split("\n")
    assert len(lines) == 52
    assert lines[1].split() == [
        "labels/a.txt:1",
        "\\x1b[31m" + "x" * 39 + "…",
        "wrong",
        "mend",
        "it",
    ]
    assert len({line.index("wrong") for line in lines[1:51]}) == 1
    assert lines[51] == "… and 10 more in reports/validation.json"
    assert format_problems(problems).endswith("\n… and 10 more")


# --- real data


def test_bccd_has_exactly_its_two_boxes_without_area(bccd: Path) -> None:
    _, problems = load(bccd, ValidateConfig())
    assert [(one.kind, one.where, one.value) for one in problems] == [
        ("zero_size", "labels/train/BloodImage_00343.txt:4", "w=0 h=0"),
        ("zero_size", "labels/val/BloodImage_00338.txt:13", "w=0 h=0"),
    ]


def test_bccd_goes_through_without_them(bccd: Path) -> None:
    tables, problems = load(bccd, ValidateConfig(zero_size="drop"))
    assert len(problems) == 2
    counts = Counter(tables.labels["split"])
    assert counts == {"train": 2804, "val": 1137, "test": 945}
    # AUDIT.json of the data set, less the two red cells without area
    splits = describe(tables)["splits"]
    assert splits["train"]["boxes_by_class"] == {"RBC": 2381, "WBC": 214, "Platelets": 209}
    assert splits["val"]["boxes_by_class"] == {"RBC": 967, "WBC": 87, "Platelets": 83}
    assert splits["test"]["boxes_by_class"] == {"RBC": 805, "WBC": 71, "Platelets": 69}
    assert set(tables.images["width"]) == {640}
    assert set(tables.images["height"]) == {480}
