"""A handwritten digit as ink: scaled, turned, tinted and blended into a picture.

Letters of the shapes: S side of the picture in pixels, P side of a digit's patch in pixels.
"""

from dataclasses import dataclass
from math import ceil, cos, radians, sin

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CELLS = 8
"""Rows and columns of a digit as scikit-learn has it."""
MARGIN = 2
"""Empty cells around them: strokes fade out instead of ending at the frame."""
STROKE = (0.3, 0.7)
"""Grey values (0 paper, 1 ink) between which a stroke's edge rises from nothing to full."""
HALO = (0.0, 0.3)
"""The same for the dark halo, which is wider than the stroke."""
LIGHT = 0.75
"""Least luminance of ink (0-1)."""
VISIBLE = 0.5
"""Coverage (0-1) from which a pixel counts as ink when the box is drawn."""
LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue (ITU-R BT.601)."""

FloatMap = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Ink:
    """A digit on a patch of its own.

    ``grey`` (P, P) is the interpolated value, 0 paper to 1 ink; ``coverage`` (P, P) in [0, 1]
    what of it hides the background; ``left``, ``top``, ``right``, ``bottom`` bound the visible
    ink in pixels of the patch, right and bottom exclusive.
    """

    grey: FloatMap
    coverage: FloatMap
    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Columns of visible ink."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows of visible ink."""
        return self.bottom - self.top


def glyph(cells: NDArray[np.float64]) -> Image.Image:
    """scikit-learn's digit (8, 8), 0-16, as a grey picture with an empty margin all around."""
    padded = np.pad(cells, MARGIN)
    return Image.fromarray(np.rint(padded * (255 / 16)).astype(np.uint8))


def draw_ink(picture: Image.Image, size: float, degrees: float) -> Ink:
    """The ``glyph`` scaled so that its 8 cells measure ``size`` pixels, turned by ``degrees``."""
    per_cell = size / CELLS
    turn = radians(degrees)
    side = ceil((CELLS + MARGIN) * per_cell * (abs(cos(turn)) + abs(sin(turn))))
    c, s = cos(turn) / per_cell, sin(turn) / per_cell
    centre = picture.width / 2
    matrix = (c, s, centre - (c + s) * side / 2, -s, c, centre - (c - s) * side / 2)
    patch = picture.transform(
        (side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC
    )
    grey = np.asarray(patch, dtype=np.float32) / np.float32(255)
    coverage = _smooth_step(grey, *STROKE)
    visible = coverage >= VISIBLE
    columns, rows = np.flatnonzero(visible.any(axis=0)), np.flatnonzero(visible.any(axis=1))
    return Ink(
        grey=grey,
        coverage=coverage,
        left=int(columns[0]),
        top=int(rows[0]),
        right=int(columns[-1]) + 1,
        bottom=int(rows[-1]) + 1,
    )


def _smooth_step(values: FloatMap, low: float, high: float) -> FloatMap:
    """0 below ``low``, 1 above ``high``, and a smooth S between."""
    t = ((values - np.float32(low)) / np.float32(high - low)).clip(0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def paint(canvas: FloatMap, ink: Ink, x: int, y: int, rng: np.random.Generator) -> None:
    """Blend ``ink`` into ``canvas`` (S, S, 3), its visible part from column x, row y on.

    Strokes have a light tint; under them lies a soft dark halo, the darker the lighter the
    ground, so that every digit stands out from its photograph.
    """
    left, top = x - ink.left, y - ink.top
    side = len(ink.grey)
    y0, y1 = max(top, 0), min(top + side, canvas.shape[0])
    x0, x1 = max(left, 0), min(left + side, canvas.shape[1])
    inside = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    region = canvas[y0:y1, x0:x1]
    brightness = float((region @ LUMINANCE).mean())
    darkness = 0.3 + 0.5 * brightness + rng.uniform(-0.1, 0.1)
    region *= 1 - np.float32(darkness) * _smooth_step(ink.grey[inside], *HALO)[..., None]
    strokes = np.float32(rng.uniform(0.9, 1.0)) * ink.coverage[inside][..., None]
    region += strokes * (_tint(rng) - region)


def _tint(rng: np.random.Generator) -> FloatMap:
    """A random light colour (3,) in [0, 1], its luminance at least ``LIGHT``."""
    colour = rng.random(3, dtype=np.float32)
    wanted = rng.uniform(LIGHT, 1.0)
    present = float(colour @ LUMINANCE)
    if present < wanted:
        return np.asarray(colour + (1 - colour) * np.float32((wanted - present) / (1 - present)))
    return np.asarray(colour * np.float32(wanted / present))
