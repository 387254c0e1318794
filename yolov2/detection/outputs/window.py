"""A window in which a video plays while objects are found in it."""

import os
import sys

import numpy as np
from PIL import Image

from yolov2.config.section import require
from yolov2.detection.inputs.video import opencv

TITLE = "yolov2 (q closes)"
CLOSING_KEYS = frozenset({27, ord("q")})  # 27: Esc


def require_display() -> None:
    """Raise ``ValueError`` where no window can be opened."""
    has_display = sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    require(
        has_display,
        "--show needs a display and this session has none (DISPLAY is not set): leave it out and"
        " look at the drawn images in --output-dir",
    )


class Window:
    """An OpenCV window.

    Raises:
        ValueError: the installed OpenCV is one without windows.
    """

    def __init__(self) -> None:
        self._cv2 = opencv()
        lines = [line.split() for line in self._cv2.getBuildInformation().splitlines()]
        require(
            ["GUI:", "NONE"] not in lines,
            "--show of a video needs an OpenCV with windows: pip uninstall opencv-python-headless,"
            " then pip install opencv-python",
        )

    def show(self, image: Image.Image) -> bool:
        """Show the RGB image; False if the person has asked to end."""
        self._cv2.imshow(TITLE, self._cv2.cvtColor(np.asarray(image), self._cv2.COLOR_RGB2BGR))
        return self._cv2.waitKey(1) & 0xFF not in CLOSING_KEYS

    def close(self) -> None:
        """Close the window."""
        self._cv2.destroyAllWindows()
