"""Any number of images and frames through the network, one batch in memory at a time."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from yolov2.detection.detect import Detector
from yolov2.detection.detections import Detections
from yolov2.detection.inputs.frames import Frame, VideoPlace, read_frames
from yolov2.detection.inputs.kinds import Input, Unreadable, is_live

BATCHES_AHEAD = 2
"""So many batches of images are decoded, at most, before the network asks for them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Detected:
    """An image, or a frame of a video, and what was found in it.

    ``number`` counts images, frames and unreadable inputs from 0; ``name`` is that of the
    input, ``note`` what a person should know about it.
    """

    number: int
    name: str
    image: Image.Image
    detections: Detections
    video: VideoPlace | None = None
    note: str = ""


def detect_inputs(
    detector: Detector, inputs: Sequence[Input]
) -> Generator[Detected | Unreadable, None, None]:
    """A result for each image and frame, in order; what cannot be read does not stop the rest."""
    size = 1 if any(map(is_live, inputs)) else detector.config.batch_size
    batch: list[tuple[int, Frame | Unreadable]] = []
    readable = 0
    frames = read_frames(inputs, detector.image_size, ahead=BATCHES_AHEAD * size)
    for numbered in enumerate(frames):
        batch.append(numbered)
        readable += isinstance(numbered[1], Frame)
        if readable == size:
            yield from _answers(detector, batch)
            batch, readable = [], 0
    yield from _answers(detector, batch)


def _answers(
    detector: Detector, batch: Sequence[tuple[int, Frame | Unreadable]]
) -> Iterator[Detected | Unreadable]:
    canvases = [(one.canvas, one.letterbox) for _, one in batch if isinstance(one, Frame)]
    found = iter(detector.detect(canvases) if canvases else ())
    for number, one in batch:
        if isinstance(one, Unreadable):
            yield one
        else:
            yield Detected(
                number=number,
                name=one.name,
                image=one.image,
                detections=next(found),
                video=one.video,
                note=one.note,
            )
