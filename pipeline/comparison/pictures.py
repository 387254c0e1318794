"""Pictures of a comparison: the classes' differences with intervals, and single images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pipeline.comparison.difference import Comparison, Difference
from yolov2.detection.detections import Detections, GroundTruth
from yolov2.detection.draw import MARGIN, PANEL_SIDE, draw_detections, draw_ground_truth
from yolov2.detection.fonts import legible
from yolov2.evaluation.report.style import new_figure, plain_text, save
from yolov2.evaluation.rows import MATCH_SCORE

SHOWN_CLASSES = 40
BETTER, WORSE, UNDECIDED = "#0072b2", "#d55e00", "#777777"
"""Blue and vermilion can be told apart by everybody (M. Okabe and K. Ito's colours)."""


def save_class_plot(comparison: Comparison, class_names: Sequence[str], path: Path) -> None:
    """AP of B minus A, over all and of each class, as points with their intervals."""
    by_class = zip(class_names, comparison.by_class, strict=True)
    rows = [(name, one) for name, one in by_class if not np.isnan(one.difference)]
    rows.sort(key=lambda row: abs(row[1].difference), reverse=True)
    rows = sorted(rows[:SHOWN_CLASSES], key=lambda row: row[1].difference)
    rows.append(("all classes", comparison.ap))
    figure = new_figure(7.5, 1.4 + 0.3 * len(rows))
    axes = figure.add_subplot()
    axes.axvline(0, color="0.6", linewidth=1)
    for y, (_, one) in enumerate(rows):
        colour, marker = _look(one)
        axes.plot([one.low, one.high], [y, y], color=colour, linewidth=2)
        size = 9 if y == len(rows) - 1 else 6
        axes.plot(one.difference, y, marker, color=colour, markersize=size)
    axes.set_yticks(range(len(rows)), [plain_text(name) for name, _ in rows])
    axes.set(xlabel="AP of B minus A (▸ B better, ◂ A better, ● undecided)")
    axes.grid(axis="x", color="0.92")
    save(figure, path)


def _look(one: Difference) -> tuple[str, str]:
    """Colour and marker."""
    if one.verdict == "B is better":
        return BETTER, ">"
    return (WORSE, "<") if one.verdict == "A is better" else (UNDECIDED, "o")


def draw_change(
    image: Image.Image,
    truth: GroundTruth,
    sides: Sequence[Detections],
    class_names: Sequence[str],
    titles: Sequence[str],
) -> Image.Image:
    """The image three times: annotated, as A and as B see it; small images enlarged."""
    scale = PANEL_SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    panel = image.resize(size, Image.Resampling.BICUBIC)
    objects = GroundTruth(boxes_xyxy=truth.boxes_xyxy * scale, class_ids=truth.class_ids)
    halves = [draw_ground_truth(panel, objects, class_names)]
    for found in (side.above(MATCH_SCORE) for side in sides):
        scaled = Detections(
            boxes_xyxy=found.boxes_xyxy * np.float32(scale),
            scores=found.scores,
            class_ids=found.class_ids,
        )
        halves.append(draw_detections(panel, scaled, class_names))
    header = 28
    font, titles = legible(titles, 15)
    width = len(halves) * (size[0] + MARGIN) + MARGIN
    picture = Image.new("RGB", (width, size[1] + header + MARGIN), "white")
    pen = ImageDraw.Draw(picture)
    for i, (title, half) in enumerate(zip(titles, halves, strict=True)):
        x = MARGIN + i * (size[0] + MARGIN)
        pen.text((x, 5), title, fill="black", font=font)
        picture.paste(half, (x, header))
    return picture
