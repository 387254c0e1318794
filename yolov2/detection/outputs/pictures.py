"""Images and videos with the boxes drawn, in threads beside the network."""

from pathlib import Path
from typing import Any

from yolov2.detection.background import Background, default_workers
from yolov2.detection.draw import draw_detections
from yolov2.detection.inputs.video import VideoWriter
from yolov2.detection.outputs.names import Names
from yolov2.detection.outputs.whole import Unwritten, write_image
from yolov2.detection.stream import Detected

VIDEO = "the drawn video"
WAITING = 32
"""Images that are yet to be drawn, at most."""

SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    ".bmp": {},
    ".jpeg": {"quality": 92},
    ".jpg": {"quality": 92},
    ".png": {"compress_level": 1},  # a quarter larger than by default, and several times as fast
    ".tif": {"compression": "tiff_lzw"},
    ".tiff": {"compression": "tiff_lzw"},
    ".webp": {"quality": 92},
}


class PictureWriter:
    """Copies of images and videos with what was found, of the size of the original.

    A video is ``NAME.partial.mp4`` until all its frames are in it.
    """

    def __init__(self, folder: Path, names: Names, unwritten: Unwritten) -> None:
        self._folder, self._names, self._unwritten = folder, names, unwritten
        self._images = Background(workers=default_workers(), waiting=WAITING)
        # frames have an order: one thread draws and appends them
        self._frames = Background(workers=1, waiting=WAITING)
        self._video: VideoWriter | None = None
        self._video_name = ""

    def __call__(self, found: Detected) -> None:
        """Have the image, or frame of a video, drawn."""
        if found.video is None:
            self._images(self._draw, found)
        else:
            self._frames(self._append, found)

    def close(self, *, whole: bool) -> None:
        """Wait for what is being drawn; end the video."""
        drawn = False
        try:
            self._images.close()
            self._frames.close()
            drawn = True
        finally:
            self._end_video(whole=whole and drawn)

    def _draw(self, found: Detected) -> None:
        path = self._folder / self._names.drawn(found.name)
        drawn = draw_detections(found.image, found.detections, found.detections.class_names)
        with self._unwritten.noted(found.name, "the drawn image"):
            write_image(path, drawn, **SAVE_OPTIONS[path.suffix.lower()])

    def _append(self, found: Detected) -> None:
        assert found.video is not None
        with self._unwritten.noted(found.name, VIDEO):
            if self._video_name != found.name:
                self._end_video(whole=True)
                self._video_name = found.name
                path = self._folder / self._names.partial(found.name)
                path.parent.mkdir(parents=True, exist_ok=True)
                rate, live = found.video.rate, found.video.live
                self._video = VideoWriter(path, found.image.size, rate, live=live)
            if self._video is not None:
                names = found.detections.class_names
                self._video.write(draw_detections(found.image, found.detections, names))

    def _end_video(self, *, whole: bool) -> None:
        video, self._video = self._video, None
        if video is None:
            return
        with self._unwritten.noted(self._video_name, VIDEO):
            video.close()
            if whole:
                path = self._folder / self._names.drawn(self._video_name)
                (self._folder / self._names.partial(self._video_name)).replace(path)
