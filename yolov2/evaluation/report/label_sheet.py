"""Label error candidates to look at: a contact sheet of the most suspicious."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from yolov2.boxes import FloatArray
from yolov2.detection.detections import GroundTruth
from yolov2.detection.draw import class_colour
from yolov2.detection.fonts import legible
from yolov2.evaluation.annotated import AnnotatedImages
from yolov2.evaluation.rows import LABEL_ERROR_SCORE, LabelError

SHOWN = 24
COLUMNS = 6
TILE, CAPTION, GAP, HEADER = 250, 54, 10, 46
"""Pixels: side of a picture, height of the text below it, space between, title."""

CONTEXT = 2.5
"""A picture shows so many times the longer side of the box, at least ``LEAST`` pixels."""

LEAST = 64
DASH = 7


def label_error_sheet(
    candidates: Sequence[LabelError],
    annotated: AnnotatedImages,
    read: Callable[[str], Image.Image],
) -> Image.Image:
    """The first ``SHOWN`` candidates with what is detected and what is annotated around them.

    ``read`` gives the RGB image of a path of ``annotated``.
    """
    shown, paths = candidates[:SHOWN], annotated.paths
    columns = max(1, min(COLUMNS, len(shown)))
    rows = -(-len(shown) // columns)
    width = max(columns * (TILE + GAP) + GAP, 720)
    sheet = Image.new("RGB", (width, HEADER + rows * (TILE + CAPTION + GAP) + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    text = f"{len(candidates)} label error candidates (score at least {LABEL_ERROR_SCORE:g})"
    text += f", the {len(shown)} most suspicious" if len(shown) < len(candidates) else ""
    pen.text((GAP, 4), text, fill="black", font=ImageFont.load_default(size=16))
    note = "solid: what the model sees; dashed: what is annotated"
    pen.text((GAP, 24), note, fill=(90, 90, 90), font=ImageFont.load_default(size=13))
    for index, one in enumerate(shown):
        x = GAP + index % columns * (TILE + GAP)
        y = HEADER + index // columns * (TILE + CAPTION + GAP)
        image, truth = read(paths[one.image_id]), annotated.truth[one.image_id]
        sheet.paste(_tile(image, truth, one), (x, y))
        _caption(pen, (x, y + TILE + 2), index + 1, one, annotated)
    return sheet


def _caption(
    pen: ImageDraw.ImageDraw,
    place: tuple[int, int],
    number: int,
    one: LabelError,
    annotated: AnnotatedImages,
) -> None:
    """Three lines: the file, what is detected, what is annotated there."""
    names = annotated.class_names
    there = "nothing" if one.annotated is None else names[one.annotated]
    font, lines = legible(
        [
            f"{number}. {Path(annotated.paths[one.image_id]).name}",
            f"model: {names[one.detected]} {one.score:.2f}",
            f"label: {there}",
        ],
        13,
    )
    black = (0, 0, 0)
    colours = (
        (90, 90, 90),
        class_colour(one.detected),
        black if one.annotated is None else class_colour(one.annotated),
    )
    for row, (text, colour) in enumerate(zip(lines, colours, strict=True)):
        while pen.textlength(text, font=font) > TILE:
            text = f"{text[:-2]}…"
        pen.text((place[0], place[1] + 17 * row), text, fill=colour, font=font)


def _tile(image: Image.Image, truth: GroundTruth, one: LabelError) -> Image.Image:
    """The surroundings of the suspicious box, TILE pixels square, with boxes."""
    boxes = [one.box_xyxy, *([one.box_annotated_xyxy] if one.box_annotated_xyxy else [])]
    low, high = np.min(boxes, axis=0)[:2], np.max(boxes, axis=0)[2:]
    side = max(float((high - low).max()) * CONTEXT, LEAST)
    side = min(side, float(max(image.size)))
    corner = (low + high) / 2 - side / 2
    # moved into the image where that is large enough
    room = np.array(image.size, dtype=float) - side
    corner = np.where(room > 0, np.clip(corner, 0, np.maximum(room, 0)), room / 2)
    area = (corner[0], corner[1], corner[0] + side, corner[1] + side)
    square = [round(edge) for edge in area]
    cut = Image.new("RGB", (square[2] - square[0], square[3] - square[1]), "white")
    cut.paste(image, (-square[0], -square[1]))
    tile = cut.resize((TILE, TILE), Image.Resampling.BICUBIC)
    pen, scale = ImageDraw.Draw(tile), TILE / cut.width
    offset = np.array([square[0], square[1]] * 2)
    for box, class_id in zip(truth.boxes_xyxy, truth.class_ids.tolist(), strict=True):
        _dashed(pen, (box - offset) * scale, class_colour(class_id))
    left, top, right, bottom = (np.array(one.box_xyxy) - offset) * scale
    for grow, colour in ((2, (255, 255, 255)), (0, class_colour(one.detected))):
        outline = (left - grow, top - grow, max(left, right) + grow, max(top, bottom) + grow)
        pen.rectangle(outline, outline=colour, width=3 + 2 * grow if grow == 0 else 7)
    return tile


def _dashed(pen: ImageDraw.ImageDraw, box_xyxy: FloatArray, colour: tuple[int, int, int]) -> None:
    """A dashed rectangle, light between the dashes so that it is seen on anything."""
    left, top, right, bottom = map(float, box_xyxy)
    for start, end in (
        ((left, top), (right, top)),
        ((right, top), (right, bottom)),
        ((right, bottom), (left, bottom)),
        ((left, bottom), (left, top)),
    ):
        length = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
        stops = np.linspace(start, end, max(2, int(length / DASH)))
        for index, (a, b) in enumerate(pairwise(stops.tolist())):
            pen.line((*a, *b), fill=colour if index % 2 == 0 else (255, 255, 255), width=2)
