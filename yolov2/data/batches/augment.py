"""Training images changed at random: one image, or a mosaic of four, or two laid over each other.

Letters of the shapes: S side of the canvas in pixels, H W rows and columns of an image, n boxes.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from yolov2.boxes import FloatArray
from yolov2.config.augment import AugmentConfig
from yolov2.data.batches.colour import Changes, draw_changes
from yolov2.data.batches.draw import Draw
from yolov2.data.batches.geometry import mosaic_tiles, single_tile, to_targets, visible_boxes
from yolov2.data.images.pixels import Pixels
from yolov2.data.images.reading import CANVAS_GREY, letterbox_image

Labelled = tuple[Pixels, FloatArray]
"""An image (H, W, 3) and its boxes (n, 5): class, cx, cy, w, h as shares of it."""

Read = Callable[[int], Labelled]
"""The image at a position of the data set."""


def compose(
    read: Read, draw: Draw, config: AugmentConfig, rng: np.random.Generator
) -> tuple[Tensor, FloatArray, Changes]:
    """The image that ``draw`` asks for, before its colours are changed and it is mirrored.

    Returns:
        The canvas uint8 (3, S, S); boxes (n, 5) class, cx, cy, w, h as shares of the canvas,
        already mirrored where the changes say so; the changes of colour that are to be made.
    """
    several = not draw.closing
    is_mosaic, is_mixup = (rng.random(2) < (config.mosaic, config.mixup)) & several
    changes = draw_changes(config, rng)
    if is_mosaic:
        parts = [read(position) for position in (draw.position, *draw.partners[:3])]
        canvas, targets = _mosaic(parts, draw.side, config, rng)
    else:
        canvas, targets = _single(read(draw.position), draw.side, config, rng)
    if is_mixup:
        over, more = _single(read(draw.partners[3]), draw.side, config, rng)
        canvas = _blend(canvas, over, rng.beta(config.mixup_alpha, config.mixup_alpha))
        targets = np.concatenate((targets, more))
    if changes.flip:
        targets[:, 1] = 1 - targets[:, 1]
    return canvas, targets, changes


def _single(
    image: Labelled, side: int, config: AugmentConfig, rng: np.random.Generator
) -> tuple[Tensor, FloatArray]:
    """One image on the canvas (3, S, S), its boxes (n, 5) as shares of the canvas."""
    pixels, boxes = image
    if not config.moves:
        letterboxed, letterbox = letterbox_image(Image.fromarray(pixels), side)
        placed = letterbox.normalised_to_canvas(boxes[:, 1:])
        canvas = torch.from_numpy(letterboxed).permute(2, 0, 1).contiguous()  # (3, S, S)
        return canvas, np.concatenate((boxes[:, :1], placed), axis=1)
    tile = single_tile((pixels.shape[1], pixels.shape[0]), side, config, rng)
    canvas = _empty(side)
    tile.paste(pixels, canvas)
    return canvas, to_targets(visible_boxes([boxes], [tile], config.min_visible), side)


def _mosaic(
    parts: Sequence[Labelled], side: int, config: AugmentConfig, rng: np.random.Generator
) -> tuple[Tensor, FloatArray]:
    """Four images on one canvas (3, S, S), their boxes (n, 5) as shares of the canvas."""
    sizes = [(pixels.shape[1], pixels.shape[0]) for pixels, _ in parts]
    tiles = mosaic_tiles(sizes, side, config, rng)
    canvas = _empty(side)
    for (pixels, _), tile in zip(parts, tiles, strict=True):
        tile.paste(pixels, canvas)
    seen = visible_boxes([boxes for _, boxes in parts], tiles, config.min_visible)
    return canvas, to_targets(seen, side)


def _blend(canvas: Tensor, over: Tensor, weight: float) -> Tensor:
    """``weight`` times ``canvas`` and the rest ``over``, all uint8 (3, S, S)."""
    mixed = over.to(torch.float32).lerp_(canvas.to(torch.float32), weight)
    return mixed.add_(0.5).to(torch.int16).to(torch.uint8)


def _empty(side: int) -> Tensor:
    return torch.from_numpy(np.full((3, side, side), CANVAS_GREY, dtype=np.uint8))
