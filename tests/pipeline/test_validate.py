import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline import paths, validate
from pipeline.labels import read_labels
from pipeline.validate import main
from pipeline.validation.data_docs import make_self_contained
from pipeline.validation.expectations import run_expectations
from tests.datasets import picture, write_dataset
from yolov2 import cli
from yolov2.config.data import KINDS, DataConfig, EdgePolicy, Kind, ValidateConfig
from yolov2.data.description import read_description
from yolov2.data.labels.checks import judge
from yolov2.data.labels.problems import DataError
from yolov2.data.labels.raw_tables import read_raw_tables
from yolov2.data.table import LabelTables

ROOT = Path(__file__).resolve().parents[2]
GOOD = "0 0.5 0.5 0.25 0.5\n"
FETCHED = re.compile(r"<(?:script|link|img|iframe)\b|url\(|@import|\bsrc=|https?://")
"""What makes a page ask the network for something; none of ours has any of it."""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configure(config: str = "pets/data.yaml", root: str = ".", **policy: EdgePolicy) -> None:
    text = {"data": {"config": config, "root": root}, "validate": policy}
    paths.PARAMS.write_text(json.dumps(text), encoding="utf-8")


def read_report() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(paths.VALIDATION.read_text(encoding="utf-8"))
    return content


def plant(root: Path, kind: Kind | None) -> None:
    """A data set with one mistake of one kind, or none."""
    lines: dict[Kind, str] = {
        "malformed_line": "0 nan 0.5 0.1 0.1\n",
        "class_out_of_range": "-1 0.5 0.5 0.1 0.1\n",
        "outside_image": "1 0.5 0.04 0.1 0.1\n",
        "zero_size": "1 0.5 0.5 0.1 -0.1\n",
        "duplicate": GOOD,
    }
    labels = {"a": GOOD + (lines.get(kind, "") if kind else ""), "b": GOOD, "none": None}
    file = write_dataset(root, {"train": labels})
    (root / "list.txt").write_text("./images/train/a.jpg\n./images/train/b.jpg\n")
    file.write_text("train: list.txt\nnames: [cat, dog]\n")
    if kind == "missing_image":
        (root / "images/train/b.jpg").unlink()
    elif kind == "unreadable_image":
        (root / "images/train/b.jpg").write_bytes(picture()[:300])


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_great_expectations_and_our_checks_agree(tmp_path: Path, kind: Kind | None) -> None:
    plant(tmp_path / "data", kind)
    raw = read_raw_tables(read_description(tmp_path / "data/data.yaml"))
    verdicts = run_expectations(raw, ValidateConfig()).verdicts
    assert {verdict.kind for verdict in verdicts} == set(KINDS)
    broken = {verdict.kind for verdict in verdicts if not verdict.passed}
    found = {problem.kind for problem in judge(raw, ValidateConfig())[1]}
    assert broken == found == ({kind} if kind else set())


def test_edges_agree_to_the_last_digit(tmp_path: Path) -> None:
    boxes = [f"0 {0.95 + step * 1e-17:.17f} 0.5 0.10002 0.5" for step in range(-20, 21)]
    boxes += [f"0 0.5 {0.05 - step * 1e-18:.18f} 0.5 0.10002" for step in range(-20, 21)]
    write_dataset(tmp_path, {"train": {"a": "\n".join(boxes)}})
    raw = read_raw_tables(read_description(tmp_path / "data.yaml"))
    config = ValidateConfig(duplicate="ignore")
    verdicts = run_expectations(raw, config).verdicts
    problems = judge(raw, config)[1]
    assert {problem.kind for problem in problems} <= {"outside_image"}
    assert 0 < len(problems) < len(boxes)
    assert sum(one.unexpected for one in verdicts) == len(problems)
    assert "duplicate" not in {one.kind for one in verdicts}


NO_TEST = (
    "no test split: val then chooses the checkpoint, is reported and promotes, so that every figure"
    " is optimistic; give test: images that nothing else uses"
)


def test_smallest_size_and_middle_agree_to_the_last_digit(tmp_path: Path) -> None:
    sizes = [0.001 + step * 2e-19 for step in range(-3, 4)]
    lines = [f"0 0.5 0.5 {size!r} 0.5" for size in sizes]
    lines += [f"0 0.5 0.5 0.5 {size * 1.5!r}" for size in sizes]  # of 48 x 32 pixels
    lines += [f"0 {middle!r} 0.5 0.05 0.5" for middle in (1.0, 1.0 + 2**-52, 0.0, -1e-300)]
    write_dataset(tmp_path, {"train": {"a": "\n".join(lines)}})
    raw = read_raw_tables(read_description(tmp_path / "data.yaml"))
    config = ValidateConfig(duplicate="ignore", edge_tolerance=0.1)
    verdicts = run_expectations(raw, config).verdicts
    problems = judge(raw, config)[1]
    found = Counter(problem.kind for problem in problems)
    assert found["outside_image"] == 2
    assert 0 < found["zero_size"] < 2 * len(sizes)
    broken: Counter[Kind] = Counter()
    for one in verdicts:
        broken[one.kind] += one.unexpected
    assert broken == found


def test_clip_lets_through_and_counts(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = {"a": GOOD + "0 0.9 0.5 0.3 0.1\n0 1.3 0.5 0.2 0.2\n"}
    write_dataset(workspace / "pets", {"train": labels})
    configure(outside_image="clip")
    main()
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == [
        "train: 1 images, 2 boxes; left out: 1 lines",
        "warnings: 2 outside_image",
    ]
    assert LabelTables.read(paths.ARTIFACTS).labels["w"].tolist() == pytest.approx([0.25, 0.25])
    report = read_report()
    assert [one["policy"] for one in report["problems"]] == ["clip", "clip"]
    assert report["passed"] is True


def test_good_data_goes_through(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_dataset(workspace / "pets", {"train": {"a": GOOD, "b": None}, "val": {"c": GOOD}})
    configure()
    main()
    assert capsys.readouterr().out.splitlines() == [
        "train: 2 images, 1 boxes, 1 images without objects",
        "val: 1 images, 1 boxes",
        NO_TEST,
    ]
    assert NO_TEST in (paths.DATA_DOCS / "index.html").read_text(encoding="utf-8")
    assert len(LabelTables.read(paths.ARTIFACTS).images) == 3
    report = read_report()
    assert report["passed"] is True
    assert report["problems"] == []
    assert all(one["passed"] for one in report["expectations"])
    assert report["policies"] == dict.fromkeys(KINDS, "error")


def test_with_a_test_split_nothing_is_said(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = {split: {split: GOOD} for split in ("train", "val", "test")}
    write_dataset(workspace / "pets", splits)
    configure()
    main()
    assert "no test split" not in capsys.readouterr().out
    assert "no test split" not in (paths.DATA_DOCS / "index.html").read_text(encoding="utf-8")


def test_a_label_edited_while_the_pages_are_written_leaves_the_stage_stale(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(workspace / "pets", {"train": {"a": GOOD}, "val": {"b": GOOD}})
    configure()
    Path("dvc.yaml").write_text("stages: {validate: {deps: [pets]}}\n")

    def then_edit(*given: Any) -> str:
        (workspace / "pets/labels/train/a.txt").write_text(GOOD + GOOD)
        return "done"

    monkeypatch.setattr(validate, "summary", then_edit)
    with pytest.raises(ValueError, match="^changed while the stage validate ran: pets"):
        main()


def test_mistakes_stop_after_the_report_is_written(workspace: Path) -> None:
    mistakes = "0 0.5 0.5 0.1\n7 0.5 0.5 0.1 0.1\n"
    write_dataset(workspace / "pets", {"train": {"a": GOOD + mistakes, "b": GOOD}})
    configure()
    with pytest.raises(DataError) as error:
        main()
    assert str(error.value).split("\n")[2:4] == [
        "labels/train/a.txt:2  0 0.5 0.5 0.1  4 columns instead of 5      write: class cx cy w h",
        "labels/train/a.txt:3  7              class is not one of 0 to 2  correct it, or names"
        " in the description",
    ]
    assert not paths.ARTIFACTS.exists()
    report = read_report()
    assert report["passed"] is False
    assert report["problem_counts"] == {"malformed_line": 1, "class_out_of_range": 1}
    assert report["problems"] == [asdict(problem) for problem in error.value.problems]
    assert report["splits"]["train"] == {
        "images": 2,
        "images_without_objects": 0,
        "boxes": 2,
        "boxes_by_class": {"cat": 2, "dog": 0, "owl": 0},
        "left_out": {"images": 0, "lines": 2},
    }
    page = (paths.DATA_DOCS / "index.html").read_text(encoding="utf-8")
    assert "stopped the pipeline" in page
    assert "labels/train/a.txt:3" in page


def test_policies_let_through_and_count(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = {"a": GOOD + GOOD + "1 0.5 0.5 0 0\n", "b": GOOD}
    write_dataset(workspace / "pets", {"train": labels}, images={"train/b.jpg": b""})
    configure(duplicate="warn", zero_size="drop", unreadable_image="drop")
    main()
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "train: 1 images, 2 boxes; left out: 1 images, 2 lines"
    assert out[1] == "warnings: 1 unreadable_image, 1 zero_size, 1 duplicate"
    assert len(out) == 6
    report = read_report()
    broken = {one["kind"]: one["policy"] for one in report["expectations"] if not one["passed"]}
    assert broken == {"duplicate": "warn", "zero_size": "drop", "unreadable_image": "drop"}
    assert report["passed"] is True


def test_files_of_several_pictures_are_noted(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dataset(workspace / "pets", {"train": {"a": GOOD, "b": GOOD}})
    pages = [Image.new("RGB", (9, 9)), Image.new("RGB", (9, 9), "red")]
    (workspace / "pets/images/train/b.jpg").unlink()
    pages[0].save(workspace / "pets/images/train/b.tif", save_all=True, append_images=pages[1:])
    configure()
    main()
    note = "images/train/b.tif: holds 2 pictures, only the first is looked at"
    assert capsys.readouterr().out.splitlines()[0] == f"note: {note}"
    assert read_report()["notes"] == [note]
    assert note in (paths.DATA_DOCS / "index.html").read_text(encoding="utf-8")
    assert cli.main(["validate", "--data", "pets/data.yaml"]) == 0
    assert f"note: {note}" in capsys.readouterr().out.splitlines()


def test_a_test_split_that_no_stage_needs_may_be_missing(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_dataset(workspace / "pets", {"train": {"a": GOOD}, "val": {"b": GOOD}})
    file.write_text(file.read_text() + "test: ../test/images\n")
    configure()
    main()
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("note: pets/data.yaml:4: test: '../test/images' not found under the")
    assert out[1:] == ["train: 1 images, 1 boxes", "val: 1 images, 1 boxes", NO_TEST]
    labels = read_labels(DataConfig(config="pets/data.yaml"))
    with pytest.raises(ValueError, match="no test split") as error:
        labels.check_split("test")
    assert str(error.value) == (
        "the data set has no test split (it has: train, val): evaluate another one with"
        " `-S evaluate.split=val` or in params.yaml"
    )
    labels.check_split("val")


def test_a_data_set_without_train_is_not_for_the_pipeline(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dataset(workspace / "pets", {"test": {"a": GOOD}})
    configure()
    with pytest.raises(ValueError, match="train is missing") as error:
        main()
    assert str(error.value) == (
        "pets/data.yaml: train is missing: the pipeline learns from its images: add `train:` (a"
        " folder, a list of folders or a .txt file)"
    )
    # measuring needs no more than what is measured
    assert cli.main(["validate", "--data", "pets/data.yaml"]) == 0
    assert "note: no train split" in capsys.readouterr().out


def test_a_data_set_of_train_alone_is_told_to_make_val(workspace: Path) -> None:
    write_dataset(workspace / "pets", {"train": {"a": GOOD}})
    configure()
    main()
    for split in ("test", "val"):
        with pytest.raises(ValueError, match="has no") as error:
            read_labels(DataConfig(config="pets/data.yaml")).check_split(split)
        assert str(error.value) == (
            f"the data set has no {split} split (it has: train): move some of its images, a tenth"
            " to a fifth, to a split of their own, name it under `val:` in the description, and set"
            " evaluate.split to val: a score on images that were learnt says nothing"
        )


def test_everything_ignored(workspace: Path) -> None:
    write_dataset(workspace / "pets", {"train": {"a": GOOD + "x\n"}})
    configure(**dict.fromkeys(KINDS, "ignore"))
    main()
    assert read_report()["expectations"] == []
    assert len(LabelTables.read(paths.ARTIFACTS).labels) == 1


def test_report_and_tables_are_the_same_every_time(workspace: Path) -> None:
    write_dataset(workspace / "pets", {"train": {"a": GOOD + GOOD, "b": None}})
    configure(duplicate="drop")
    files = (paths.VALIDATION, paths.LABELS, paths.IMAGES, paths.DATASET)
    main()
    before = [path.read_bytes() for path in files]
    main()
    assert [path.read_bytes() for path in files] == before


def test_data_outside_the_watched_folder_is_refused(workspace: Path) -> None:
    write_dataset(workspace / "pets", {"train": {"a": GOOD}})
    (workspace / "pets.yaml").write_text("path: pets\ntrain: images\nnames: [a]\n")
    configure("pets.yaml", "elsewhere")
    with pytest.raises(ValueError, match=r"-S data\.root=pets\)"):
        main()
    configure("pets.yaml", "pets")
    main()


def test_pages_need_no_network(workspace: Path) -> None:
    trap = '<script src="http://x.y/z.js">"1.txt'
    write_dataset(workspace / "pets", {"train": {"a": GOOD, "b": f"{trap} .5 .5 .1 .1\n"}})
    configure(malformed_line="warn")
    main()
    pages = {path.name: path.read_text("utf-8") for path in paths.DATA_DOCS.iterdir()}
    assert set(pages) == {"index.html", "images.html", "lines.html", "boxes.html"}
    assert "&lt;script src=" in pages["index.html"]
    pages["index.html"] = pages["index.html"].replace("src=&quot;http://x.y", "")
    for name, page in pages.items():
        assert not FETCHED.search(page.replace("value src=", "")), name
        for link in re.findall(r'href="([^"#]+)"', page):
            assert link in pages
    assert "✓" in pages["boxes.html"]
    assert "✗" in pages["lines.html"]
    assert "✗" not in pages["boxes.html"]


def test_self_contained_page_keeps_its_text() -> None:
    page = (
        '<html><head><link rel="x" href="https://cdn/x.css"/><script src="https://a">b</script>'
        '<style>a { background: url(https://c) }</style></head><body><img src="https://d" />'
        '<a href="../../index.html">Home</a> <a href="../../expectations/x.html" >suite</a>'
        '<i class="fas fa-times text-danger" aria-hidden="true"></i> Failed'
        '<i class="fas fa-check-circle"></i><footer>news</footer></body></html>'
    )
    cleaned = make_self_contained(page)
    head, body = cleaned.split("</head>")
    assert not FETCHED.search(cleaned)
    assert "<style>" in head
    assert body == (
        '<body><a href="index.html">Home</a> suite<span class="bad">✗</span> Failed'
        '<span class="good">✓</span></body></html>'
    )


def test_as_a_command(workspace: Path) -> None:
    write_dataset(workspace / "pets", {"train": {"a": GOOD + "0 0.5\n"}})
    configure()
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.validate"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    first, *rest = done.stderr.splitlines()
    assert first == "error: the data has mistakes (1 malformed_line):"
    assert rest[1].split()[0] == "labels/train/a.txt:2"
    assert len(rest) == 3
    assert read_report()["passed"] is False
