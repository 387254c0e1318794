"""What a lone exported graph has to say about itself: classes, anchors, pixels, thresholds.

The text is JSON, the same in every format: under the key ``yolov2.json`` of the ONNX
``metadata_props`` and as the extra file ``yolov2.json`` of a TorchScript archive. No torch:
the served model reads it too.
"""

import json
from dataclasses import dataclass
from typing import Any

from yolov2.config import STRIDE
from yolov2.data.images import CANVAS_GREY

KEY = "yolov2.json"
FORMAT = "yolov2-detector"
VERSION = 1
INPUT = "images"
OUTPUT = "predictions"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All that detecting with an exported graph needs besides the graph.

    ``anchors`` (A, 2) are widths and heights in grid cells; ``image_size`` is the side of the
    canvas in pixels; the thresholds are those to detect with unless others are asked for.
    """

    class_names: tuple[str, ...]
    anchors: tuple[tuple[float, float], ...]
    image_size: int
    conf_threshold: float
    nms_threshold: float

    def to_json(self) -> str:
        """The manifest with input, preprocessing and output described; equal ones, equal text."""
        side, classes = self.image_size, len(self.class_names)
        rows = len(self.anchors) * (side // STRIDE) ** 2
        content = {
            "format": FORMAT,
            "version": VERSION,
            "class_names": self.class_names,
            "anchors": self.anchors,
            "image_size": side,
            "stride": STRIDE,
            "thresholds": {"confidence": self.conf_threshold, "nms": self.nms_threshold},
            "input": {"name": INPUT, "shape": ["batch", 3, side, side], "dtype": "float32"},
            "preprocessing": {
                "colour": "RGB, turned as the EXIF orientation says",
                "resize": "letterbox, bilinear, centred",
                "canvas_grey": CANVAS_GREY,
                "scale": "divided by 255",
            },
            "output": {
                "name": OUTPUT,
                "shape": ["batch", rows, 5 + classes],
                "columns": "cx, cy, w, h in pixels of the canvas, objectness, class probabilities",
                "score": "objectness times class probability",
            },
        }
        return json.dumps(content, ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, source: object) -> "Manifest":
        """The manifest that ``to_json`` wrote; ``source`` is the file to name in an error.

        Raises:
            ValueError: the text is not a manifest, or one of a later version.
        """
        try:
            content: dict[str, Any] = json.loads(text)
            if content["format"] != FORMAT or content["version"] != VERSION:
                raise ValueError(f"{content['format']} version {content['version']}")
            return cls(
                class_names=tuple(str(name) for name in content["class_names"]),
                anchors=tuple((float(w), float(h)) for w, h in content["anchors"]),
                image_size=int(content["image_size"]),
                conf_threshold=float(content["thresholds"]["confidence"]),
                nms_threshold=float(content["thresholds"]["nms"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{source}: was not exported by this version of yolov2 ({error!r} in its"
                f" {KEY}; expected {FORMAT} version {VERSION}): export the checkpoint again"
            ) from None
