"""Inputs read and placed on the network's canvas, in threads, ahead of the network.

Letters of the shapes: S side of the canvas in pixels.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count, groupby

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from yolov2.boxes import Letterbox
from yolov2.data.images.probe import other_pictures
from yolov2.data.images.reading import ImageError, letterbox_image, read_image
from yolov2.detection.background import default_workers, ordered_map
from yolov2.detection.inputs.kinds import ImageInput, Input, Unreadable, VideoInput
from yolov2.detection.inputs.video import VideoReader


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
        return one.unreadable(str(error))
    canvas, letterbox = letterbox_image(image, side)
    said = other_pictures(one.content)
    note = f"{one.name}: {said}" if said else one.note
    return Frame(name=one.name, image=image, canvas=canvas, letterbox=letterbox, note=note)


def _video_frames(one: VideoInput, side: int, ahead: int) -> Iterator[Frame | Unreadable]:
    try:
        reader = VideoReader(one.content)
    except ImageError as error:
        yield one.unreadable(str(error))
        return
    live = isinstance(one.content, int)

    def read(frame: int) -> Frame | Unreadable | None:
        try:
            image = reader.read()
        except ImageError as error:
            return one.unreadable(str(error))
        if image is None:
            return None
        canvas, letterbox = letterbox_image(image, side)
        place = VideoPlace(frame=frame, rate=reader.rate, live=live)
        return Frame(
            name=one.name,
            image=image,
            canvas=canvas,
            letterbox=letterbox,
            video=place,
            note="" if frame else one.note,
        )

    # one thread, so that frames come in order; what a camera saw a while ago is of no use
    frames = ordered_map(read, count(), workers=1, ahead=0 if live else ahead)
    with closing(reader), closing(frames):
        for frame in frames:
            if frame is None:
                return
            yield frame
            if isinstance(frame, Unreadable):
                return
