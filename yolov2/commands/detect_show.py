"""``yolov2 detect --show``."""

from collections.abc import Sequence

from yolov2.config.section import require
from yolov2.detection.draw import draw_detections
from yolov2.detection.inputs.kinds import ImageInput, Input, VideoInput
from yolov2.detection.outputs.window import Window, require_display
from yolov2.detection.stream import Detected

MAX_WINDOWS = 10


class Shower:
    """Shows results: a video in a window of ours, an image in the system's image viewer.

    Raises:
        ValueError: there is no display, no OpenCV with windows for a video, or too many images.
    """

    def __init__(self, inputs: Sequence[Input]) -> None:
        videos = sum(isinstance(one, VideoInput) for one in inputs)
        images = sum(isinstance(one, ImageInput) for one in inputs)
        require(
            images <= MAX_WINDOWS,
            f"--show opens a window for each image and there are {images}: name one image, or at"
            f" most {MAX_WINDOWS}",
        )
        require_display()
        self._window = Window() if videos else None

    def show(self, result: Detected) -> bool:
        """Show it; False if the person has asked to end.

        Raises:
            ValueError: the system has no image viewer.
        """
        names = result.detections.class_names
        drawn = draw_detections(result.image, result.detections, names)
        if result.video is not None:
            assert self._window is not None
            return self._window.show(drawn)

        from PIL import ImageShow

        require(
            ImageShow.show(drawn),
            "--show found no image viewer: install xdg-utils or ImageMagick, or leave it out",
        )
        return True

    def close(self) -> None:
        """Close the window."""
        if self._window is not None:
            self._window.close()
