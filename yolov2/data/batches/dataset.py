"""Items and batches: images on a square canvas and their boxes, read from the label table.

Letters of the shapes: B images of a batch, S side of the canvas in pixels, T boxes of a batch.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from yolov2.boxes import FloatArray, Letterbox
from yolov2.config.augment import NO_CHANGES, AugmentConfig
from yolov2.config.model import STRIDE
from yolov2.data.batches.augment import Labelled, compose
from yolov2.data.batches.colour import Changes, apply_changes, stack_changes
from yolov2.data.batches.draw import Draw
from yolov2.data.images.cache import CacheKind, open_images
from yolov2.data.images.pixels import Images, Recent
from yolov2.data.images.reading import letterbox_image, read_image, require_size
from yolov2.data.table import LabelTables

RECENT_BYTES = 2**27
"""Pixels that a process keeps for other mosaics and epochs: 145 images of 640x480."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One image on its canvas.

    ``image`` is uint8 (3, S, S) RGB; ``targets`` float32 (n, 5): class, cx, cy, w, h as shares
    of the canvas. ``changes`` are still to be made of the image, not of the targets.
    ``letterbox`` says where on the canvas the image lies; of a training image, which may be
    made of several, it is the canvas itself.
    """

    image: Tensor
    targets: Tensor
    image_id: int
    letterbox: Letterbox
    changes: Changes


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Images and boxes as the network's training takes them.

    ``images`` is uint8 (B, 3, S, S) RGB; ``targets`` float32 (T, 6): index of the image in the
    batch, class, cx, cy, w, h as shares of the canvas; ``image_ids`` are those of the table.
    ``changes`` (B, 6) float32 are still to be made of the images, by
    ``yolov2.data.batches.colour.augment_batch``; with ``augment_on: cpu`` there are none left.
    """

    images: Tensor
    targets: Tensor
    image_ids: list[int]
    letterboxes: list[Letterbox]
    changes: Tensor

    def pin_memory(self) -> "Batch":
        """The batch in page-locked memory; the loader calls it where there is a CUDA card."""
        return replace(
            self,
            images=self.images.pin_memory(),
            targets=self.targets.pin_memory(),
            changes=self.changes.pin_memory(),
        )


class DetectionDataset(Dataset[Item]):
    """The images of one split with their boxes.

    A ``Draw`` is an image to train on: its random changes follow from ``seed``, the draw's
    epoch and the image alone. A bare position is the letterboxed image, to evaluate on: it must
    have the size that the table says, or boxes would be judged in pixels of another picture.

    Args:
        tables: the label table of the data set.
        root: the folder that the table's image paths start from.
        split: ``train``, ``val`` or ``test``.
        image_size: side of the canvas in pixels, of an image that is not drawn.
        augment: random changes of the images that are drawn, ``None`` for none.
        seed: start of every random choice.
        cache: where decoded images are kept for the next epoch.
        cache_folder: the folder of ``cache`` disk; ``None`` for the user's cache folder.

    Raises:
        CacheError: the cache is too large for the memory or the disk.
        ValueError: the data set has no images in this split.
    """

    def __init__(
        self,
        tables: LabelTables,
        root: Path,
        split: str,
        image_size: int,
        *,
        augment: AugmentConfig | None = None,
        seed: int = 0,
        cache: CacheKind = "none",
        cache_folder: Path | None = None,
    ) -> None:
        rows = tables.images[tables.images["split"] == split]
        if rows.empty:
            present = ", ".join(tables.images["split"].unique())
            raise ValueError(f"the data set has no images in split '{split}' (it has: {present})")
        self.root = root
        self.image_size = image_size
        self.augment = augment or NO_CHANGES
        self.seed = seed
        self.class_names = tables.class_names
        self.paths: list[str] = rows["image"].tolist()
        self.image_ids: list[int] = rows["image_id"].tolist()
        self._boxes = _boxes_by_image(tables, split)
        files = [root / path for path in self.paths]
        sizes = list(zip(rows["height"].tolist(), rows["width"].tolist(), strict=True))
        self._sizes = sizes
        md5s: list[str] = rows["md5"].tolist()
        self.notes: list[str] = []  # what to tell of the reading so far
        self._images: Images = open_images(
            files, sizes, md5s, cache, cache_folder, tell=self.notes.append
        )
        if self.augment.combines:
            self._images = Recent(self._images, RECENT_BYTES)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int | Draw) -> Item:
        return self._drawn(index) if isinstance(index, Draw) else self._plain(index)

    def _plain(self, position: int) -> Item:
        path, (height, width) = self.root / self.paths[position], self._sizes[position]
        image = read_image(path)
        require_size(path, image, (width, height), "the annotations say")
        canvas, letterbox = letterbox_image(image, self.image_size)
        targets = self._boxes_of(position).copy()
        targets[:, 1:] = letterbox.normalised_to_canvas(targets[:, 1:])
        return Item(
            image=torch.from_numpy(canvas).permute(2, 0, 1),  # (3, S, S)
            targets=torch.from_numpy(targets.astype(np.float32)),  # (n, 5)
            image_id=self.image_ids[position],
            letterbox=letterbox,
            changes=Changes(),
        )

    def _drawn(self, draw: Draw) -> Item:
        image_id = self.image_ids[draw.position]
        # a trailing 3, because to NumPy seeds are equal that differ by trailing zeros only
        rng = np.random.default_rng((self.seed, draw.epoch, image_id, 3))
        canvas, targets, changes = compose(self._labelled, draw, self.augment, rng)
        left = Changes()
        if self.augment.augment_on == "device":
            changes, left = left, changes
        return Item(
            image=apply_changes(canvas, changes),  # (3, S, S)
            targets=torch.from_numpy(targets.astype(np.float32)),  # (n, 5)
            image_id=image_id,
            letterbox=Letterbox(width=draw.side, height=draw.side, side=draw.side),
            changes=left,
        )

    def _labelled(self, position: int) -> Labelled:
        return self._images(position), self._boxes_of(position)

    def _boxes_of(self, position: int) -> FloatArray:
        """Boxes (n, 5) of the image at ``position``: class, cx, cy, w, h as shares of it."""
        return self._boxes.get(self.image_ids[position], np.zeros((0, 5)))


def _boxes_by_image(tables: LabelTables, split: str) -> dict[int, FloatArray]:
    """Rows (n, 5) class, cx, cy, w, h as shares of the image, by image id."""
    rows = tables.labels[tables.labels["split"] == split]
    values = rows[["class_id", "cx", "cy", "w", "h"]].to_numpy(np.float64)
    groups = rows.groupby("image_id", sort=False).indices
    return {int(str(image_id)): values[where] for image_id, where in groups.items()}


def collate(items: list[Item]) -> Batch:
    """Items of one size -> a batch; the boxes get the index of their image in front.

    No items are a batch of no images, of the smallest size.
    """
    if not items:
        return Batch(
            images=torch.empty(0, 3, STRIDE, STRIDE, dtype=torch.uint8),
            targets=torch.empty(0, 6),
            image_ids=[],
            letterboxes=[],
            changes=torch.empty(0, 6),
        )
    targets = [
        torch.cat((torch.full((len(item.targets), 1), float(i)), item.targets), dim=1)
        for i, item in enumerate(items)
    ]
    return Batch(
        images=torch.stack([item.image for item in items]),  # (B, 3, S, S)
        targets=torch.cat(targets),  # (T, 6)
        image_ids=[item.image_id for item in items],
        letterboxes=[item.letterbox for item in items],
        changes=stack_changes([item.changes for item in items]),  # (B, 6)
    )
