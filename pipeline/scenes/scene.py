"""One scene of the embedded data set: handwritten digits on a crop of a photograph.

Letters of the shapes: S side of the scene in pixels, N digits in a scene, M digits to choose
from.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.params.digits import DigitsConfig
from pipeline.scenes.ink import FloatMap, Ink, draw_ink, paint

CROP_SIDES = (72, 128)
"""Smallest and largest side, in pixels, of the crop of a photograph behind a scene."""
MAX_OVERLAP = 0.05
"""Largest IoU of two boxes of a scene."""
POSITIONS = 30
"""Places tried for a digit before it is given up."""
LAYOUTS = 50
"""Scenes tried before ``min_objects`` is given up."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """What the scenes of one split are made of; no two splits share any of it.

    ``photographs`` are the split's regions of the photographs, ``CROP_SIDES[1]`` pixels high
    and wide or more; ``glyphs`` (M) what ``digit_ink.glyph`` made of the digits; ``class_ids``
    (M,) 0-9; ``digits`` (M,) their numbers in ``load_digits``.
    """

    photographs: list[Image.Image]
    glyphs: list[Image.Image]
    class_ids: NDArray[np.int64]
    digits: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A picture uint8 (S, S, 3), and box, class and origin of each digit in it.

    ``boxes_xyxy_pixels`` int64 (N, 4) are tight around the visible ink, right and bottom
    exclusive; ``class_ids`` (N,) 0-9; ``digits`` (N,) numbers in ``load_digits``.
    """

    image: NDArray[np.uint8]
    boxes_xyxy_pixels: NDArray[np.int64]
    class_ids: NDArray[np.int64]
    digits: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Digit ``index`` of the material as ink, its box's left top corner at ``x``, ``y``."""

    index: int
    ink: Ink
    x: int
    y: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom in pixels of the scene."""
        return self.x, self.y, self.x + self.ink.width, self.y + self.ink.height


def compose_scene(material: Material, config: DigitsConfig, rng: np.random.Generator) -> Scene:
    """A scene of ``config.image_size`` pixels; all chance is drawn from ``rng``.

    Raises:
        ValueError: ``min_objects`` digits of these sizes do not find room.
    """
    canvas = _background(material, config.image_size, rng)  # (S, S, 3)
    placed = [] if rng.random() < config.background_share else _layout(material, config, rng)
    for digit in placed:
        paint(canvas, digit.ink, digit.x, digit.y, rng)
    indices = np.array([digit.index for digit in placed], dtype=np.int64)
    return Scene(
        image=np.rint(canvas.clip(0, 1) * 255).astype(np.uint8),
        boxes_xyxy_pixels=np.array([d.box for d in placed], dtype=np.int64).reshape(-1, 4),
        class_ids=material.class_ids[indices],
        digits=material.digits[indices],
    )


def _background(material: Material, side: int, rng: np.random.Generator) -> FloatMap:
    """A square crop of a photograph, perhaps mirrored, as floats (S, S, 3) in [0, 1]."""
    photograph = material.photographs[rng.integers(len(material.photographs))]
    size = int(rng.integers(CROP_SIDES[0], CROP_SIDES[1] + 1))
    left = int(rng.integers(photograph.width - size + 1))
    top = int(rng.integers(photograph.height - size + 1))
    crop = photograph.crop((left, top, left + size, top + size))
    scaled = crop.resize((side, side), Image.Resampling.BICUBIC)
    pixels = np.asarray(scaled, dtype=np.float32) / np.float32(255)  # (S, S, 3)
    return pixels[:, ::-1].copy() if rng.random() < 0.5 else pixels


def _layout(material: Material, config: DigitsConfig, rng: np.random.Generator) -> list[Placed]:
    """As many digits as drawn by lot; fewer, but ``min_objects``, where room is short."""
    wanted = int(rng.integers(config.min_objects, config.max_objects + 1))
    for _ in range(LAYOUTS):
        placed: list[Placed] = []
        for _ in range(wanted):
            digit = _place(material, config, placed, rng)
            if digit is not None:
                placed.append(digit)
        if len(placed) >= config.min_objects:
            return placed
    raise ValueError(
        f"digits: no room for {config.min_objects} digits of {config.min_size} to"
        f" {config.max_size} pixels in a scene of {config.image_size}:"
        " lower digits.min_objects or digits.max_size"
    )


def _place(
    material: Material, config: DigitsConfig, placed: list[Placed], rng: np.random.Generator
) -> Placed | None:
    """A random digit, each class equally often, clear of ``placed``; ``None`` without room."""
    members = np.flatnonzero(material.class_ids == rng.integers(10))
    index = int(members[rng.integers(len(members))])
    size = rng.uniform(config.min_size, config.max_size)
    degrees = rng.uniform(-config.rotation, config.rotation)
    ink = draw_ink(material.glyphs[index], size, degrees)
    room = (config.image_size - ink.width, config.image_size - ink.height)
    if min(room) < 0:
        return None
    for _ in range(POSITIONS):
        x, y = int(rng.integers(room[0] + 1)), int(rng.integers(room[1] + 1))
        digit = Placed(index=index, ink=ink, x=x, y=y)
        if all(_iou(digit.box, other.box) <= MAX_OVERLAP for other in placed):
            return digit
    return None


def _iou(box1: tuple[int, int, int, int], box2: tuple[int, int, int, int]) -> float:
    """Overlap of two boxes, left, top, right, bottom."""
    width = min(box1[2], box2[2]) - max(box1[0], box2[0])
    height = min(box1[3], box2[3]) - max(box1[1], box2[1])
    intersection = max(width, 0) * max(height, 0)
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in (box1, box2)]
    return intersection / (sum(areas) - intersection)
