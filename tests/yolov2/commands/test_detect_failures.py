"""``yolov2 detect`` where a result cannot be written: named, counted, and the rest goes on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.yolov2.detection.stand_in import checkpoint, encoded, grey
from yolov2.cli import main
from yolov2.network.checkpoint import save_checkpoint
from yolov2.network.yolov2 import YOLOv2

ROOT = Path(__file__).resolve().parents[3]

NO_ROOM = """
import resource, sys
from yolov2.cli import main
# the smallest disk: whoever writes more bytes to a file than these gets an error of the system
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("weights"))


def options(weights: Path, source: Path, output: Path, *save: str) -> list[str]:
    given = ["--weights", weights, "--source", source, "--output-dir", output, "--device", "cpu"]
    return list(map(str, ["detect", *given, "--conf-threshold", 0, "--save", *save]))


def files(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(folder)) for path in found)


def write_video(path: Path, size: tuple[int, int], frames: int) -> None:
    """A video of any size, as OpenCV's JPEG writer makes them."""
    cv2 = pytest.importorskip("cv2")
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, size)
    for i in range(frames):
        writer.write(np.full((size[1], size[0], 3), 40 * i, dtype=np.uint8))
    writer.release()


def test_a_video_that_cannot_be_drawn_does_not_end_the_run(weights, tmp_path, capsys):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name, size in (("a", (8192, 16)), ("b", (64, 32)), ("c", (1, 1)), ("d", (32, 64))):
        write_video(source / f"{name}.avi", size, 3)
    grey(9).save(source / "e.png")
    assert main(options(weights, source, out, "drawn", "json", "txt")) == 1
    said = capsys.readouterr()
    sides = "a side of its video has 2 to 8191 pixels"
    assert said.err.splitlines() == [
        f"a.avi: the drawn video could not be written (8192 x 16 pixels; {sides})",
        f"c.avi: the drawn video could not be written (1 x 1 pixels; {sides})",
    ]
    assert said.out.startswith("13 images, ")
    assert ", results of 2 files could not be written, " in said.out
    assert files(out / "drawn") == ["b.avi.mp4", "d.avi.mp4", "e.png"]
    assert len(files(out / "labels")) == 13
    entries = json.loads((out / "detections.json").read_text())
    names = {entry["file_name"] for entry in entries}
    assert names >= {"a.avi", "b.avi", "d.avi", "e.png"}
    assert {entry["frame"] for entry in entries if entry["file_name"] == "a.avi"} == {0, 1, 2}


def test_an_image_too_large_for_its_format_does_not_end_the_run(weights, tmp_path, capsys):
    """A PNG called ``.webp``, which is at most 16,383 pixels wide."""
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "a.webp").write_bytes(encoded(grey(9, (16_384, 4))))
    grey(9).save(source / "b.png")
    assert main(options(weights, source, out, "drawn", "json")) == 1
    said = capsys.readouterr()
    assert said.err == (
        "a.webp: the drawn image could not be written"
        " (encoding error 5: Image size exceeds WebP limit of 16383 pixels)\n"
    )
    assert ", results of 1 file could not be written, " in said.out
    assert files(out) == ["detections.json", "drawn/b.png"]


def test_long_names_of_files_and_classes(tmp_path, capsys):
    """A name may have 255 bytes, and what is added to it has to fit as well."""
    source, out, name = tmp_path / "in", tmp_path / "out", "ö" * 125
    source.mkdir()
    for stem in (name + "a", name + "b"):
        grey(9).save(source / f"{stem}.png")
        (source / f"{stem}.jpg").write_bytes(encoded(grey(9), "JPEG"))
    write_video(source / f"{name}c.avi", (64, 32), 2)
    classes = ("k" * 255, "k" * 300)
    with_long_classes = tmp_path / "best.pt"
    network = YOLOv2(2, [(1.0, 1.0)], width=0.05)
    save_checkpoint(with_long_classes, network, class_names=classes, image_size=64)
    kinds = ("drawn", "json", "csv", "parquet", "txt", "crops")
    assert main(options(with_long_classes, source, out, *kinds)) == 0
    assert capsys.readouterr().err == ""
    assert len(files(out / "drawn")) == 5
    assert len(files(out / "labels")) == 4 + 2
    entries = json.loads((out / "detections.json").read_text())
    assert len(files(out / "crops")) == len(entries)
    found = {entry["category_id"] for entry in entries}
    assert len(list((out / "crops").iterdir())) == len(found)  # cut, and yet told apart


def run_without_room(room: int, given: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", NO_ROOM, str(room), *given],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_disk_without_room_leaves_no_empty_labels(weights, tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for i in range(3):
        grey(9 * i).save(source / f"{i}.png")
    (out / "labels").mkdir(parents=True)
    (out / "labels" / "2.txt").write_text("older\n")
    given = [*options(weights, source, out, "drawn", "txt", "crops"), "--overwrite"]
    done = run_without_room(4, given)
    assert done.returncode == 1, done.stderr
    assert sorted(done.stderr.splitlines()) == [
        f"{i}.png: {kind} could not be written (File too large)"
        for i in range(3)
        for kind in ("its labels", "its objects", "the drawn image")
    ]
    assert done.stdout.startswith("3 images, ")
    assert ", results of 3 files could not be written, " in done.stdout
    assert files(out) == ["labels/2.txt"]
    assert (out / "labels" / "2.txt").read_text() == "older\n"


def test_a_video_without_room_is_told(weights, tmp_path):
    """OpenCV passes over what a disk answers: only what is there afterwards tells."""
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    write_video(source / "clip.avi", (640, 480), 5)
    grey(9, (32, 32)).save(source / "z.png")
    done = run_without_room(2000, options(weights, source, out, "drawn"))
    assert done.returncode == 1, done.stderr
    assert done.stderr == (
        "clip.avi: the drawn video could not be written"
        " (0 of its 5 frames are in the file: is the disk full?)\n"
    )
    assert files(out / "drawn") == ["z.png"]


@pytest.mark.parametrize("kind", ["json", "csv", "parquet"])
def test_a_table_without_room_ends_the_run_by_its_name(weights, tmp_path, kind):
    """A table is of all inputs; without it nothing is worth going on for."""
    grey(9).save(tmp_path / "x.png")
    out = tmp_path / "out"
    done = run_without_room(4, options(weights, tmp_path / "x.png", out, kind))
    assert done.returncode == 2
    told = rf"yolov2 detect: error: {out}/detections.{kind}: "
    assert done.stderr.startswith(told)
    assert "ile too large" in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in out.iterdir()] == [f"detections.{kind}.partial"]


def test_frames_and_images_keep_their_own_labels(weights, tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    write_video(source / "clip.avi", (64, 32), 3)
    Image.new("RGB", (9, 7)).save(source / "clip_000001.jpg")
    assert main(options(weights, source, out, "txt", "crops")) == 0
    assert files(out / "labels") == [
        *(f"clip.avi_{frame:06d}.txt" for frame in range(3)),
        "clip_000001.jpg.txt",
    ]
    lines = sum(
        len((out / "labels" / each).read_text().splitlines()) for each in files(out / "labels")
    )
    assert len(files(out / "crops")) == lines
