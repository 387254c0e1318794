"""What a lone exported graph has to say about itself: classes, anchors, pixels, thresholds.

The text is JSON, the same in every format: under the key ``yolov2.json`` of the ONNX
``metadata_props`` and as the extra file ``yolov2.json`` of a TorchScript or ``.pt2`` archive.
No torch: the served model reads it too.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

from yolov2.config.model import STRIDE
from yolov2.data.images.reading import CANVAS_GREY

KEY = "yolov2.json"
FORMAT = "yolov2-detector"
VERSION = 2
READABLE = (1, VERSION)
"""Version 1: one threshold for all classes, float32, decoded, one size of the input."""

INPUT = "images"
OUTPUT = "predictions"
DETECTIONS = "detections"

Variant = Literal["raw", "decoded", "nms"]

BOX = "cx, cy, w, h in pixels of the canvas, objectness, class probabilities"
OUTPUTS: dict[Variant, tuple[str, str]] = {
    "raw": (OUTPUT, "(batch, anchor, row, column): tx, ty, tw, th, to, class logits"),
    "decoded": (OUTPUT, f"(batch, box): {BOX}"),
    "nms": (
        DETECTIONS,
        "(detection): image of the batch, left, top, right, bottom in pixels of the canvas,"
        " score, class; by image, then by descending score; beside it the predictions",
    ),
}
"""Name and axes of what each variant gives; the last axis is what the colon introduces."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All that detecting with an exported graph needs besides the graph.

    ``anchors`` (A, 2) are widths and heights in grid cells; ``image_size`` is the side of the
    canvas in pixels, and with ``dynamic_size`` any multiple of 32 works as well. The thresholds
    are those to detect with unless others are asked for: ``class_thresholds`` holds one a class,
    or nothing, and then ``conf_threshold`` is that of all. ``data_digest`` is that of the
    training data's table, empty if unknown. ``precision`` names the number format that the
    graph computes in, of ``yolov2.export.formats``.
    """

    class_names: tuple[str, ...]
    anchors: tuple[tuple[float, float], ...]
    image_size: int
    conf_threshold: float
    nms_threshold: float
    class_thresholds: tuple[float, ...] = ()
    precision: str = "fp32"
    variant: Variant = "decoded"
    dynamic_size: bool = True
    data_digest: str = ""

    def __post_init__(self) -> None:
        if len(self.class_thresholds) not in (0, len(self.class_names)):
            raise ValueError(
                f"{len(self.class_thresholds)} class thresholds for {len(self.class_names)} classes"
            )

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The confidence threshold of every class (C,)."""
        return self.class_thresholds or (self.conf_threshold,) * len(self.class_names)

    def to_json(self) -> str:
        """The manifest with input, preprocessing and output described; equal ones, equal text."""
        side = self.image_size
        sides = ["height", "width"] if self.dynamic_size else [side, side]
        output, columns = OUTPUTS[self.variant]
        content = {
            "format": FORMAT,
            "version": VERSION,
            "class_names": self.class_names,
            "anchors": self.anchors,
            "image_size": side,
            "stride": STRIDE,
            "precision": self.precision,
            "variant": self.variant,
            "dynamic_size": self.dynamic_size,
            "data_digest": self.data_digest,
            "thresholds": {
                "confidence": self.conf_threshold,
                "nms": self.nms_threshold,
                "classes": self.class_thresholds,
            },
            "input": {
                "name": INPUT,
                "shape": ["batch", 3, *sides],
                "dtype": "float32",
                "sides": f"multiples of {STRIDE}" if self.dynamic_size else "fixed",
            },
            "preprocessing": {
                "colour": "RGB, turned as the EXIF orientation says",
                "resize": "letterbox, bilinear, centred",
                "canvas_grey": CANVAS_GREY,
                "scale": "divided by 255",
            },
            "output": {
                "name": output,
                "columns": columns,
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
        if not text:
            raise ValueError(
                f"{source}: was not exported by yolov2 (it holds no {KEY}): export a checkpoint"
                " with `yolov2 export`"
            )
        try:
            content: dict[str, Any] = json.loads(text)
            if content["format"] != FORMAT or content["version"] not in READABLE:
                raise ValueError(f"{content['format']} version {content['version']}")
            thresholds = content["thresholds"]
            return cls(
                class_names=tuple(str(name) for name in content["class_names"]),
                anchors=tuple((float(w), float(h)) for w, h in content["anchors"]),
                image_size=int(content["image_size"]),
                conf_threshold=float(thresholds["confidence"]),
                nms_threshold=float(thresholds["nms"]),
                class_thresholds=tuple(float(each) for each in thresholds.get("classes", ())),
                precision=str(content.get("precision", "fp32")),
                variant=content.get("variant", "decoded"),
                dynamic_size=bool(content.get("dynamic_size", False)),
                data_digest=str(content.get("data_digest", "")),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"{source}: was not exported by this version of yolov2 ({error!r} in its"
                f" {KEY}; expected {FORMAT} version {VERSION}): export the checkpoint again"
            ) from None
