import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from tests.datasets import picture, write_dataset
from yolov2.config.data import (
    KINDS,
    AnchorsConfig,
    EdgePolicy,
    Kind,
    Policy,
    ValidateConfig,
    policies_of,
)
from yolov2.data.anchors import choose_anchors
from yolov2.data.description import read_description
from yolov2.data.images.reading import NO_FORMAT
from yolov2.data.labels.checks import load_tables
from yolov2.data.labels.problems import DataError, Problem, errors, format_problems
from yolov2.data.labels.rules import RULES, policies
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
        "--outside-image clip (validate.outside_image) cuts it at the edge",
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
    choices = "clip, warn, drop or ignore" if kind == "outside_image" else "warn, drop or ignore"
    assert f"({kind}: {choices})" in last


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
    assert {one.message for one in problems} == {"most of the box is outside the image"}
    assert tables.labels.empty


USELESS = {
    "zero_size": [
        "0 .5 .5 1e-16 .1",
        "0 .5 .5 1e-46 1e-46",
        "0 .5 .5 .000999 .1",  # of 48 x 32 pixels: 0.048 of one
        "0 .5 .5 .1 .00149",  # the height counts as a share of the longer side: .00099
    ],
    "outside_image": [
        "0 1.3 .5 .2 .2",  # beside the image
        "0 .5 -.01 .2 .2",  # the centre is, and so most of the box
        "0 100 80 200 160",  # in pixels, from the upper left corner: the image is inside
        "0 .5 .5 2.01 .5",
        "0 1e308 .5 1.7e308 .5",
    ],
}
USABLE = [
    "0 .5 .5 .001 .0016",
    "0 1 .5 .3 .2",  # half of it is in the image
    "0 .5 0 2 .2",
]


@pytest.mark.parametrize("kind", list(USELESS))
@pytest.mark.parametrize("policy", ["warn", "drop", "ignore"])
def test_what_no_step_can_use_is_left_out(tmp_path: Path, policy: Policy, kind: Kind) -> None:
    lines = ["0 .5 .5 .25 .5", *USELESS[kind], *USABLE]
    write_dataset(tmp_path, {"train": {"a": "\n".join(lines)}})
    config = replace(everything("ignore"), **{kind: policy})
    tables, problems = load(tmp_path, config)
    useless = list(range(2, 2 + len(USELESS[kind])))
    sticking_out = [len(lines) - 1, len(lines)] if kind == "outside_image" else []
    found = [] if policy == "ignore" else useless + sticking_out
    assert [(one.kind, one.line) for one in problems] == [(kind, line) for line in found]
    dropped = sticking_out if policy == "drop" else []
    assert tables.labels["line"].tolist() == [
        line for line in range(1, len(lines) + 1) if line not in useless + dropped
    ]
    anchors = choose_anchors(tables, AnchorsConfig(k=1, restarts=1), 416).anchors  # 13 cells
    assert (anchors > 0.01).all()
    assert (anchors <= 26).all()


def test_a_box_too_small_says_what_it_is(tmp_path: Path) -> None:
    lines = ["0 .5 .5 1e-16 .1", "0 .5 .5 .1 .00149", "0 .5 .5 0 .1"]
    write_dataset(tmp_path, {"train": {"a": "\n".join(lines)}})
    _, problems = load(tmp_path, ValidateConfig())
    small = "narrower or lower than 0.001 of the image's longer side"
    assert [(one.value, one.message) for one in problems] == [
        ("w=1e-16 h=0.1", small),
        ("w=0.1 h=0.00149", small),
        ("w=0 h=0.1", "the box has no area"),
    ]
    assert problems[0].advice == "correct or delete the line; real objects: cut the image in tiles"


def test_clip_cuts_at_the_edge(tmp_path: Path) -> None:
    lines = [
        "0 .9 .5 .3 .1",  # 0.75 to 1.05
        "0 .5 0 2 .5",  # all of the width, 0 to 0.25 of the height
        "0 .5 .5 .25 .5",
        "0 .5 .95 .2 .10001",  # within the tolerance: as it is
        "0 1.3 .5 .2 .2",
        "0 1 .5 .0011 .5",  # a sliver is left
    ]
    write_dataset(tmp_path, {"train": {"a": "\n".join(lines)}})
    tables, problems = load(tmp_path, ValidateConfig(outside_image="clip"))
    assert [(one.line, one.policy) for one in problems] == [
        *((1, "clip"), (2, "clip"), (5, "clip"), (6, "clip"))
    ]
    labels = tables.labels
    assert labels["line"].tolist() == [1, 2, 3, 4]
    boxes = labels[["cx", "cy", "w", "h"]].to_numpy()
    assert boxes[0] == pytest.approx([0.875, 0.5, 0.25, 0.1])
    assert boxes[1] == pytest.approx([0.5, 0.125, 1.0, 0.25])
    assert boxes[2:].tolist() == [[0.5, 0.5, 0.25, 0.5], [0.5, 0.95, 0.2, 0.10001]]
    assert labels["pixel_width"].tolist() == pytest.approx([12, 48, 12, 9.6])  # of 48


@pytest.mark.parametrize(
    ("lines", "advice"),
    [
        ("0 .9 .5 .2003 .1", "rounding? --edge-tolerance 0.0002 (validate.edge_tolerance)"),
        ("0 .5 .05 .2 .1019", "rounding? --edge-tolerance 0.001 (validate.edge_tolerance)"),
        ("0 .9 .5 .3 .1", "--outside-image clip (validate.outside_image) cuts it at the edge"),
        ("0 1.3 .5 .3 .1", "correct or delete the line"),
        ("0 320 240 64 48", "divide pixels by the image's size"),
    ],
)
def test_advice_for_a_box_that_leaves_the_image(tmp_path: Path, lines: str, advice: str) -> None:
    write_dataset(tmp_path, {"train": {"a": f"{GOOD}{lines}\n", "b": "1 .8 .8 .1 .1\n"}})
    _, problems = load(tmp_path, ValidateConfig())
    assert [one.advice for one in problems] == [advice]
    tolerance = re.search(r"edge-tolerance (\S+)", advice)
    if tolerance:
        config = ValidateConfig(edge_tolerance=float(tolerance[1]))
        assert load(tmp_path, config)[1] == []


def test_corners_are_recognised(tmp_path: Path) -> None:
    shares = {"a": "0 .2 .3 .9 .8\n0 .5 .5 .6 .7\n", "b": "1 0 0 .4 .2\n1 .6 .6 .9 .9\n"}
    write_dataset(tmp_path / "shares", {"train": shares})
    _, problems = load(tmp_path / "shares", ValidateConfig())
    corners = "left top right bottom? write the centre, width and height"
    assert [(one.where, one.advice) for one in problems] == [
        ("labels/train/a.txt:1", corners),
        ("labels/train/b.txt:1", corners),
        ("labels/train/b.txt:2", corners),
    ]
    pixels = {"a": "0 20 30 40 31\n0 1 2 30 7\n"}
    write_dataset(tmp_path / "pixels", {"train": pixels})
    _, problems = load(tmp_path / "pixels", ValidateConfig())
    corners = "left top right bottom in pixels? write centre, width and height as shares"
    assert {one.advice for one in problems} == {corners}
    # large boxes around the upper left corner alone make no corners of all the others
    mixed = {"a": "0 .2 .3 .9 .8\n0 .8 .8 .1 .1\n0 .7 .7 .1 .1\n"}
    write_dataset(tmp_path / "mixed", {"train": mixed})
    _, problems = load(tmp_path / "mixed", ValidateConfig())
    assert [one.advice[:20] for one in problems] == ["--outside-image clip"]


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


def test_images_that_share_a_label_file_are_refused(tmp_path: Path) -> None:
    file = write_dataset(
        tmp_path,
        {"train": {"a": GOOD, "b": None, "c": GOOD, "d": GOOD}},
        images={
            **{"train/a.png": picture(form="PNG"), "train/b.png": picture(form="PNG")},
            **{"train/c.JPG": picture(), "train/c.png": picture(form="PNG")},
        },
    )
    with pytest.raises(
        ValueError,
        match=re.escape(
            f"{file}: 'images/train/a.jpg' and 'images/train/a.png' share the label file"
            " 'labels/train/a.txt', and 2 more images with others: rename one, with a"
            " label file of its own, or remove it"
        ),
    ):
        load(tmp_path, ValidateConfig())
    for name in ("a.png", "c.png", "c.JPG"):
        (tmp_path / "images/train" / name).unlink()
    # nobody says anything of b.jpg and b.png
    assert len(load(tmp_path, ValidateConfig())[0].images) == 5


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


@pytest.mark.parametrize(
    ("images", "labels", "hint"),
    [
        ("Images", "Labels", "'Images' is not 'images': rename it, and 'Labels' to 'labels'"),
        ("IMAGES", "labels", "'IMAGES' is not 'images': rename it"),
        ("images", "Labels", "'Labels' is not 'labels': rename it"),
    ],
)
def test_folders_in_capitals_say_so(tmp_path: Path, images: str, labels: str, hint: str) -> None:
    file = write_dataset(tmp_path, {"train": {"a": GOOD, "b": GOOD}})
    (tmp_path / "images").rename(tmp_path / images)
    (tmp_path / "labels").rename(tmp_path / labels)
    file.write_text(f"train: {images}/train\nnames: [a]\n")
    with pytest.raises(ValueError, match="none of its 2 images has a label file") as error:
        load(tmp_path, ValidateConfig())
    assert str(error.value).endswith(f": {hint} (capitals count)")


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


def test_the_table_of_rules_is_complete() -> None:
    assert [rule.kind for rule in RULES] == list(KINDS)
    hints = get_type_hints(ValidateConfig).items()
    with_policy = {name for name, hint in hints if hint in (Policy, EdgePolicy)}
    assert with_policy == set(KINDS)
    assert {"error", "warn", "drop", "ignore"} <= set(policies_of("zero_size"))
    assert [kind for kind in KINDS if "clip" in policies_of(kind)] == ["outside_image"]


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
