"""A picture of what the network is trained on: changed images with their boxes.

Letters of the shapes: S side of a canvas in pixels.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from yolov2.data.batches.colour import augment_batch, stack_changes
from yolov2.data.batches.dataset import DetectionDataset, Item
from yolov2.data.batches.draw import Draw, draw_partners
from yolov2.detection.detections import GroundTruth
from yolov2.detection.draw import draw_ground_truth

GAP = 4
"""Pixels between two images of the sheet."""


def sample_draws(
    dataset: DetectionDataset, *, images: int, side: int, seed: int, epoch: int
) -> list[Draw]:
    """Draws of so many different images (at most all), combined with any others."""
    rng = np.random.default_rng((seed, epoch, 0, 4))
    chosen = rng.permutation(len(dataset))[:images].tolist()
    partners = draw_partners(chosen, len(dataset), rng)
    return [
        Draw(epoch, position, four, side, closing=False)
        for position, four in zip(chosen, partners, strict=True)
    ]


def contact_sheet(dataset: DetectionDataset, draws: Sequence[Draw]) -> Image.Image:
    """The images of ``draws`` as the network sees them, with boxes and class names, in rows.

    Raises:
        ImageError: an image cannot be read.
        ValueError: there are no draws.
    """
    if not draws:
        raise ValueError("a contact sheet needs at least one image")
    columns = int(np.ceil(np.sqrt(len(draws))))
    rows = -(-len(draws) // columns)
    step = max(draw.side for draw in draws) + GAP
    sheet = Image.new("RGB", (columns * step - GAP, rows * step - GAP), "white")
    for index, draw in enumerate(draws):
        drawn = _with_boxes(dataset[draw], dataset.class_names)
        sheet.paste(drawn, (index % columns * step, index // columns * step))
    return sheet


def _with_boxes(item: Item, class_names: Sequence[str]) -> Image.Image:
    changed = augment_batch(item.image[None], stack_changes([item.changes]))[0]  # (3, S, S)
    pixels = changed.mul(255).round().permute(1, 2, 0).numpy().astype(np.uint8)  # (S, S, 3)
    targets = item.targets.numpy().astype(np.float64)  # (n, 5)
    centre, half = targets[:, 1:3], targets[:, 3:5] / 2
    boxes_xyxy = np.concatenate((centre - half, centre + half), axis=1) * len(pixels)
    truth = GroundTruth(boxes_xyxy=boxes_xyxy, class_ids=targets[:, 0].astype(np.int64))
    return draw_ground_truth(Image.fromarray(pixels), truth, class_names)
