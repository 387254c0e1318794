"""What results are called, and that a file is there whole or not at all."""

from pathlib import Path

import pytest
import torch

from tests.yolov2.detection.stand_in import grey
from yolov2.detection.detections import Detections
from yolov2.detection.inputs.frames import VideoPlace
from yolov2.detection.inputs.kinds import ImageInput, Input, VideoInput, fitting
from yolov2.detection.outputs.names import Names, folder_name
from yolov2.detection.outputs.whole import Unwritten, write_whole
from yolov2.detection.stream import Detected


def names(*given: str) -> Names:
    """Of inputs, of which those that end in ``.avi`` or ``.mp4`` are videos."""
    inputs: list[Input] = [
        VideoInput(name=name, content=Path(name))
        if name.endswith((".avi", ".mp4"))
        else ImageInput(name=name, content=Path(name))
        for name in given
    ]
    return Names(inputs)


def found(name: str, frame: int | None = None) -> Detected:
    nothing = Detections(
        boxes_xyxy=torch.zeros(0, 4), scores=torch.zeros(0), class_ids=torch.zeros(0).long()
    )
    place = None if frame is None else VideoPlace(frame=frame, rate=25.0, live=False)
    return Detected(number=0, name=name, image=grey(0), detections=nothing, video=place)


def labels(given: Names, *results: tuple[str, int | None]) -> list[str]:
    return [given.bare(found(*each), ".txt") for each in results]


def test_a_frame_and_an_image_do_not_share_their_labels() -> None:
    apart = names("clip.mp4", "clip_1.jpg", "clip_000001_.jpg")
    assert labels(apart, ("clip.mp4", 1), ("clip_1.jpg", None)) == [
        "clip_000001.txt",
        "clip_1.txt",
    ]
    meeting = names("clip.mp4", "clip_000001.jpg")
    assert labels(meeting, ("clip.mp4", 1), ("clip_000001.jpg", None)) == [
        "clip.mp4_000001.txt",
        "clip_000001.jpg.txt",
    ]
    long = names("x/clip.mp4", "x/clip_1234567.jpg", "clip_000001.jpg")
    assert labels(long, ("x/clip.mp4", 1234567)) == ["x/clip.mp4_1234567.txt"]
    odd = names("clip.mp4", "clip.png", "clip.mp4_000007", "clip.mp4__000007")
    assert labels(odd, ("clip.mp4", 7)) == ["clip.mp4___000007.txt"]


def test_two_videos_and_their_copies_are_apart() -> None:
    given = names("clip.avi", "clip.mp4", "clip.avi.mp4", "clip.partial.mp4", "b.gif", "b.gif.jpg")
    drawn = {name: given.drawn(name) for name in ("clip.avi", "clip.mp4", "b.gif", "b.gif.jpg")}
    assert drawn == {
        "clip.avi": "clip.avi_.mp4",
        "clip.mp4": "clip.mp4",
        "b.gif": "b.gif_.jpg",
        "b.gif.jpg": "b.gif.jpg",
    }
    # while clip.mp4 is written it must not be what clip.partial.mp4 was drawn as
    assert given.partial("clip.mp4") == "clip_.partial.mp4"
    both = names("b.gif", "b.gif_", "b.gif.jpg")
    assert len({both.drawn(name) for name in ("b.gif", "b.gif_", "b.gif.jpg")}) == 3


def test_names_of_any_length_fit() -> None:
    long = "ö" * 120 + "a" * 11 + ".png"  # 255 bytes
    assert fitting("a" * 251, ".txt") == "a" * 251 + ".txt"
    short = fitting("a" * 252, ".txt")
    assert len(short) == 255
    assert short.startswith("a" * 242 + "~")
    assert short != fitting("a" * 253, ".txt")
    assert len(fitting("x." + "y" * 300, "." + "z" * 300)) == 255
    assert len(folder_name("ü" * 200).encode()) in (254, 255)
    given = names(f"in/{long}", "in/other.png", "in/other.jpg")
    for result in (
        given.bare(found(f"in/{long}"), "-1.jpg"),
        names(f"in/{long}.gif").drawn(f"in/{long}.gif"),
        names(f"in/{'v' * 251}.avi").drawn(f"in/{'v' * 251}.avi"),
        names(f"in/{'v' * 251}.mp4").partial(f"in/{'v' * 251}.mp4"),
    ):
        assert result.startswith("in/")
        assert len(Path(result).name.encode()) <= 255


def test_a_file_is_whole_or_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / ("x" * 251 + ".txt")
    write_whole(path, b"whole")

    def interrupted(file: Path, target: Path) -> None:
        assert (file.read_bytes(), path.read_bytes()) == (b"other", b"whole")
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"other")
    assert [each.read_bytes() for each in path.parent.iterdir()] == [b"whole"]


def test_an_input_is_told_once_for_each_kind() -> None:
    told: list[str] = []
    unwritten = Unwritten(lambda name, problem: told.append(f"{name}|{problem}"))
    for name, kind, error in (
        ("a", "its labels", OSError(28, "No space left on device")),
        ("a", "its labels", OSError(28, "No space left on device")),
        ("a", "its objects", ValueError("too wide")),
        ("b", "its labels", OSError("encoder error -2")),
    ):
        with unwritten.noted(name, kind):
            raise error
    assert told == [
        "a|a: its labels could not be written (No space left on device)",
        "a|a: its objects could not be written (too wide)",
        "b|b: its labels could not be written (encoder error -2)",
    ]
    with pytest.raises(KeyError), unwritten.noted("a", "its labels"):
        raise KeyError("a slip of ours")
