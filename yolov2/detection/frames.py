"""Inputs read and placed on the network's canvas, in threads, ahead of the network.

Letters of the shapes: S side of the canvas in pixels.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count, groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from yolov2.boxes import Letterbox
from yolov2.data.images import ImageError, letterbox_image, open_image, read_image
from yolov2.detection.background import default_workers, ordered_map
from yolov2.detection.inputs import ImageInput, Input, Unreadable, VideoInput
from yolov2.detection.video import VideoReader


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoPlace:
    """Which frame of a video an image is: number from 0; ``rate`` in frames a second."""

    frame: int
    rate: float
    live: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """An image in RGB and its canvas (S, S, 3) uint8; ``note`` says what a person should know."""

    name: str
    image: Image.Image
    canvas: NDArray[np.uint8]
    letterbox: Letterbox
    video: VideoPlace | None = None
    note: str = ""


def read_frames(inputs: Sequence[Input], side: int, *, ahead: int) -> Iterator[Frame | Unreadable]:
    """Images and frames of all inputs in order, read up to ``ahead`` of them ahead.

    An input that cannot be read does not stop the others.
    """
    for is_video, group in groupby(inputs, key=lambda one: isinstance(one, VideoInput)):
        if is_video:
            for one in group:
                assert isinstance(one, VideoInput)
                yield from _video_frames(one, side, ahead)
        else:
            yield from ordered_map(
                lambda one: _image_frame(one, side),
                group,
                workers=default_workers(),
                ahead=ahead,
            )


def count_frames(inputs: Sequence[Input]) -> int | None:
    """How many images and frames there will be, as far as the inputs say; None: nobody knows."""
    total = 0
    for one in inputs:
        if not isinstance(one, VideoInput):
            total += 1
            continue
        if isinstance(one.content, int):
            return None
        try:
            with closing(VideoReader(one.content)) as video:
                if video.announced is None:
                    return None
                total += video.announced
        except ImageError:
            total += 1  # it will be reported as one unreadable input
    return total


def _image_frame(one: Input, side: int) -> Frame | Unreadable:
    if isinstance(one, Unreadable):
        return one
    assert isinstance(one, ImageInput)
    try:
        image = read_image(one.content)
    except ImageError as error:
        text = str(error)
        if isinstance(one.content, bytes):
            text = text.replace("image", one.name, 1)
        return Unreadable(name=one.name, problem=text)
    canvas, letterbox = letterbox_image(image, side)
    note = ""
    try:
        pictures = _pictures(one.content)
    except ImageError as error:
        note = f"{one.name}: damaged after its first picture ({error.reason})"
    else:
        if pictures > 1:
            note = f"{one.name}: holds {pictures} pictures, only the first is looked at"
    return Frame(name=one.name, image=image, canvas=canvas, letterbox=letterbox, note=note)


def _pictures(content: Path | bytes) -> int:
    """How many pictures a file of a kind that can hold several has."""
    if isinstance(content, bytes) or content.suffix.lower() not in (".gif", ".tif", ".tiff"):
        return 1
    with open_image(content) as image:
        return int(getattr(image, "n_frames", 1))


def _video_frames(one: VideoInput, side: int, ahead: int) -> Iterator[Frame | Unreadable]:
    try:
        reader = VideoReader(one.content)
    except ImageError as error:
        yield Unreadable(name=one.name, problem=str(error))
        return
    live = isinstance(one.content, int)

    def read(frame: int) -> Frame | Unreadable | None:
        try:
            image = reader.read()
        except ImageError as error:
            return Unreadable(name=one.name, problem=str(error))
        if image is None:
            return None
        canvas, letterbox = letterbox_image(image, side)
        place = VideoPlace(frame=frame, rate=reader.rate, live=live)
        return Frame(name=one.name, image=image, canvas=canvas, letterbox=letterbox, video=place)

    # one thread, so that frames come in order; what a camera saw a while ago is of no use
    frames = ordered_map(read, count(), workers=1, ahead=0 if live else ahead)
    with closing(reader), closing(frames):
        for frame in frames:
            if frame is None:
                return
            yield frame
            if isinstance(frame, Unreadable):
                return
