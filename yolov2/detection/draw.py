"""Pictures of boxes: what the detector found, and that beside what is there."""

import colorsys
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from yolov2.boxes import FloatArray
from yolov2.detection.detections import Detections, GroundTruth
from yolov2.detection.fonts import legible

GOLDEN_RATIO = 0.6180339887498949
MAX_BRIGHTNESS = 150.0
PANEL_SIDE = 480
"""Longer side in pixels of each half of a comparison picture."""

MARGIN = 8


def class_colour(class_id: int) -> tuple[int, int, int]:
    """RGB (0-255) of a class, the same in every picture and plot.

    Hues go round by the golden ratio, so that neighbours in the list are far apart however
    many there are, and the lightness changes; none is too bright to be seen on white.
    """
    hue = (0.02 + class_id * GOLDEN_RATIO) % 1
    rgb = np.array(colorsys.hls_to_rgb(hue, (0.48, 0.36, 0.58)[class_id % 3], 0.8)) * 255
    red, green, blue = (rgb * min(1.0, MAX_BRIGHTNESS / _brightness(rgb))).round().astype(int)
    return int(red), int(green), int(blue)


def _brightness(rgb: Sequence[float] | FloatArray) -> float:
    """Perceived brightness (0-255) of a colour: the luma of ITU-R BT.601."""
    return float(np.dot((0.299, 0.587, 0.114), rgb))


def draw_detections(
    image: Image.Image, detections: Detections, class_names: Sequence[str]
) -> Image.Image:
    """A copy of the RGB image with the boxes, their class names and scores; the best on top."""
    labels = [
        f"{class_names[class_id]} {score:.2f}"
        for class_id, score in zip(detections.class_ids, detections.scores, strict=True)
    ]
    return _draw(image, detections.boxes_xyxy, detections.class_ids.tolist(), labels)


def draw_ground_truth(
    image: Image.Image, truth: GroundTruth, class_names: Sequence[str]
) -> Image.Image:
    """A copy of the RGB image with the annotated boxes and their class names."""
    class_ids = truth.class_ids.tolist()
    return _draw(image, truth.boxes_xyxy, class_ids, [class_names[i] for i in class_ids])


def draw_comparison(
    image: Image.Image,
    truth: GroundTruth,
    detections: Detections,
    class_names: Sequence[str],
    caption: str,
) -> Image.Image:
    """Annotation on the left, detections on the right, a caption above; small images enlarged."""
    scale = PANEL_SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    panel = image.resize(size, Image.Resampling.BICUBIC)
    left = draw_ground_truth(
        panel,
        GroundTruth(boxes_xyxy=truth.boxes_xyxy * scale, class_ids=truth.class_ids),
        class_names,
    )
    scaled = Detections(
        boxes_xyxy=detections.boxes_xyxy * np.float32(scale),
        scores=detections.scores,
        class_ids=detections.class_ids,
    )
    right = draw_detections(panel, scaled, class_names)
    font, (caption,) = legible([caption], 15)
    header = 2 * 20 + MARGIN
    picture = Image.new("RGB", (2 * size[0] + 3 * MARGIN, size[1] + header + MARGIN), "white")
    pen = ImageDraw.Draw(picture)
    pen.text((MARGIN, 4), caption, fill="black", font=font)
    for x, title, half in (
        (MARGIN, f"annotated: {len(truth)}", left),
        (size[0] + 2 * MARGIN, f"detected: {len(detections)}", right),
    ):
        pen.text((x, 24), title, fill=(90, 90, 90), font=font)
        picture.paste(half, (x, header))
    return picture


def _draw(
    image: Image.Image, boxes_xyxy: FloatArray, class_ids: list[int], labels: list[str]
) -> Image.Image:
    """A copy of the image with boxes (N, 4), the first on top."""
    picture = image.convert("RGB")
    if picture is image:
        picture = image.copy()
    pen = ImageDraw.Draw(picture)
    shorter = min(image.size)
    line = max(1, round(shorter / 200))
    font, labels = legible(labels, max(10, round(shorter / 32)))
    # labels after all boxes, or a neighbour's outline would cross them; the first comes on top
    drawn = list(zip(boxes_xyxy.tolist(), map(class_colour, class_ids), labels, strict=True))
    for (x1, y1, x2, y2), colour, _ in reversed(drawn):
        pen.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=colour, width=line)
    for (x1, y1, _, _), colour, label in reversed(drawn):
        _label(pen, image.size, (x1, y1), label, colour, font)
    return picture


def _label(
    pen: ImageDraw.ImageDraw,
    image_size: tuple[int, int],
    corner: tuple[float, float],
    text: str,
    colour: tuple[int, int, int],
    font: "ImageFont.FreeTypeFont | ImageFont.ImageFont",
) -> None:
    """Text on a patch of its class colour above the box's corner, moved into the picture."""
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    width, height = right - left + 4, bottom - top + 4
    x = max(0.0, min(corner[0], image_size[0] - width))
    y = max(0.0, corner[1] - height)
    pen.rectangle((x, y, x + width, y + height), fill=colour)
    ink = "black" if _brightness(colour) > 140 else "white"
    pen.text((x + 2 - left, y + 2 - top), text, fill=ink, font=font)
