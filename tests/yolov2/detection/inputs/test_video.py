"""Videos read, drawn and recorded by OpenCV; skipped where that is not installed."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.yolov2.detection.stand_in import detector, grey
from yolov2.data.images.reading import ImageError
from yolov2.detection.inputs.frames import Frame, count_frames, read_frames
from yolov2.detection.inputs.gather import gather
from yolov2.detection.inputs.kinds import Unreadable
from yolov2.detection.inputs.sources import find_inputs
from yolov2.detection.inputs.video import VideoReader, VideoWriter, opencv
from yolov2.detection.outputs.coco_ids import RunningIds
from yolov2.detection.outputs.names import Names
from yolov2.detection.outputs.whole import Unwritten
from yolov2.detection.outputs.window import Window
from yolov2.detection.outputs.writers import open_writers
from yolov2.detection.stream import Detected, detect_inputs

cv2 = pytest.importorskip("cv2")
opencv()  # before anything else uses it: FFmpeg reads once how loud it shall be

FRAMES, RATE = 24, 12.5


def fail(name: str, problem: str) -> None:
    raise AssertionError(problem)


NONE = Unwritten(fail)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A video that becomes brighter, its first half, and a text file called video."""
    folder = tmp_path / "clips"
    folder.mkdir()
    path = str(folder / "clip.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), RATE, (128, 64))
    for i in range(FRAMES):
        writer.write(np.full((64, 128, 3), 10 * i, dtype=np.uint8))
    writer.release()
    whole = (folder / "clip.avi").read_bytes()
    (folder / "cut.avi").write_bytes(whole[: len(whole) // 2])
    (folder / "text.mp4").write_text("no video")
    grey(255).save(folder / "photo.png")
    return folder


def test_frames_come_in_order_and_what_is_damaged_is_said(clips, capfd):
    inputs = find_inputs([str(clips)])
    assert [one.name for one in inputs] == ["clip.avi", "cut.avi", "photo.png", "text.mp4"]
    frames = list(read_frames(inputs, 64, ahead=5))
    whole = [one for one in frames if isinstance(one, Frame) and one.name == "clip.avi"]
    shades = [np.asarray(one.image).mean() for one in whole]
    np.testing.assert_allclose(shades, 10 * np.arange(FRAMES), atol=3)
    assert [(one.video.frame, one.video.rate) for one in whole if one.video] == [
        (i, RATE) for i in range(FRAMES)
    ]
    problems = [one.problem.rpartition("/")[2] for one in frames if isinstance(one, Unreadable)]
    assert problems[0].startswith("cut.avi: damaged, ends after ")
    assert problems[0].endswith(f" of {FRAMES} frames")
    assert problems[1] == "text.mp4: not a video that OpenCV can read"
    assert count_frames(inputs[:1]) == FRAMES
    assert capfd.readouterr().err == "", "OpenCV's own messages are for nobody"


def test_the_drawn_video_plays_like_the_source(clips, tmp_path):
    inputs, out = find_inputs([str(clips / "clip.avi"), str(clips / "photo.png")]), tmp_path / "out"
    names = Names(inputs)
    kinds = ("drawn", "json", "parquet", "txt")
    with open_writers(out, kinds, names, RunningIds(), NONE, label_scores=False) as writers:
        for found in detect_inputs(detector(batch_size=7), inputs):
            assert isinstance(found, Detected)
            for write in writers:
                write(found)
    reader = cv2.VideoCapture(str(out / "drawn" / "clip.avi.mp4"))
    size = [reader.get(each) for each in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
    assert (size, reader.get(cv2.CAP_PROP_FPS)) == ([128, 64], RATE)
    frames = [pixels for there, pixels in iter(reader.read, (False, None)) if there]
    assert len(frames) == FRAMES
    # from frame 13 (130 / 255 > 0.5) on there is a box, 44, 22, 84, 42; its frame is coloured
    spread = [np.ptp(frame[30:34, 44].astype(int), axis=-1).max() for frame in frames]
    assert [bool(each > 60) for each in spread] == [i >= 13 for i in range(FRAMES)]
    said = json.loads((out / "detections.json").read_text())
    assert [entry.get("frame") for entry in said] == [*range(13, FRAMES), None]
    assert [entry["image_id"] for entry in said] == [*range(13, FRAMES), FRAMES]
    labels = sorted(path.name for path in (out / "labels").iterdir())
    assert labels[:2] == ["clip_000000.txt", "clip_000001.txt"]
    assert labels[-1] == "photo.txt"
    assert (out / "drawn" / "photo.png").exists()


def test_a_video_that_is_not_finished_keeps_partial_in_its_name(clips, tmp_path):
    """The first one is done when the second begins, which an error ends at its third frame."""
    (clips / "second.avi").write_bytes((clips / "clip.avi").read_bytes())
    inputs = find_inputs([str(clips / "clip.avi"), str(clips / "second.avi")])
    names, ids = Names(inputs), RunningIds()

    def draw() -> None:
        with open_writers(tmp_path, ["drawn"], names, ids, NONE, label_scores=False) as writers:
            for found in detect_inputs(detector(), inputs):
                assert isinstance(found, Detected)
                if found.number == FRAMES + 2:
                    raise RuntimeError("stop")
                writers[0](found)

    with pytest.raises(RuntimeError, match="stop"):
        draw()
    drawn = sorted((tmp_path / "drawn").iterdir())
    assert [path.name for path in drawn] == ["clip.avi.mp4", "second.avi.partial.mp4"]
    for path, frames in zip(drawn, (FRAMES, 2), strict=True):
        reader = VideoReader(path)
        assert reader.announced == frames
        reader.close()


def test_a_live_recording_keeps_the_time_that_has_passed(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    writer = VideoWriter(tmp_path / "live.mp4", (128, 64), 10.0, live=True)
    for moment in (100.0, 100.01, 100.5, 101.0):
        clock[0] = moment
        writer.write(grey(99))
    writer.close()
    reader = VideoReader(tmp_path / "live.mp4")
    assert reader.announced == 11, "frames 0 to 10 of a second at 10 a second"
    reader.close()


def test_a_camera_that_is_not_there_is_named(tmp_path, capfd):
    with pytest.raises(ImageError, match=r"camera 97 does not answer \(cameras of this machine: "):
        gather(["97"], tmp_path)
    assert capfd.readouterr().err == ""


def test_a_window_needs_an_opencv_with_windows(monkeypatch):
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:                 NONE\n")
    with pytest.raises(ValueError, match="--show of a video needs an OpenCV with windows"):
        Window()
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:                 GTK3\n")
    shown: list[tuple[int, ...]] = []
    keys = iter((-1, ord("q")))
    monkeypatch.setattr(cv2, "imshow", lambda title, pixels: shown.append(pixels.shape))
    monkeypatch.setattr(cv2, "waitKey", lambda delay: next(keys))
    window = Window()
    assert [window.show(Image.new("RGB", (30, 20))) for _ in range(2)] == [True, False]
    assert shown == [(20, 30, 3)] * 2


def test_without_opencv_the_package_is_named(clips, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImageError, match="videos and cameras need OpenCV: pip install opencv-"):
        opencv()
    inputs = find_inputs([str(clips / "clip.avi"), str(clips / "photo.png")])
    assert count_frames(inputs) == 2
    bad, good = read_frames(inputs, 64, ahead=1)
    assert isinstance(bad, Unreadable)
    assert bad.problem.startswith(f"{clips}/clip.avi: videos and cameras need OpenCV: pip ")
    assert isinstance(good, Frame)
