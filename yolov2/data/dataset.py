"""Batches of letterboxed images and their boxes, read from the label table.

Letters of the shapes: B images of a batch, S side of the canvas in pixels, T boxes of a batch.

Every random choice follows from (seed, epoch, image), never from what was drawn before, so
that an epoch gives the same batches whether training ran through or was taken up again, and
with any number of loader workers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from yolov2.boxes import FloatArray, Letterbox
from yolov2.data.augment import augment_image
from yolov2.data.images import letterbox_image, read_image
from yolov2.data.table import LabelTables
from yolov2.train_config import AugmentConfig


@dataclass(frozen=True, kw_only=True)
class Item:
    """One image on its canvas.

    ``image`` is uint8 (3, S, S) RGB; ``targets`` float32 (n, 5): class, cx, cy, w, h as shares
    of the canvas.
    """

    image: Tensor
    targets: Tensor
    image_id: int
    letterbox: Letterbox


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Images and boxes as the network's training takes them.

    ``images`` is uint8 (B, 3, S, S) RGB; ``targets`` float32 (T, 6): index of the image in the
    batch, class, cx, cy, w, h as shares of the canvas; ``image_ids`` are those of the table.
    """

    images: Tensor
    targets: Tensor
    image_ids: list[int]
    letterboxes: list[Letterbox]

    def pin_memory(self) -> "Batch":
        """The batch in page-locked memory; the loader calls it where there is a CUDA card."""
        return replace(self, images=self.images.pin_memory(), targets=self.targets.pin_memory())


class DetectionDataset(Dataset[Item]):
    """The images of one split with their boxes.

    An index is ``(epoch, position)`` when training (the augmentation follows from both) or a
    bare position otherwise.

    Args:
        tables: the label table of the data set.
        root: the folder that the table's image paths start from.
        split: ``train``, ``val`` or ``test``.
        image_size: side of the canvas in pixels.
        augment: random changes of the images, ``None`` for none.
        seed: start of every random choice.

    Raises:
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
    ) -> None:
        rows = tables.images[tables.images["split"] == split]
        if rows.empty:
            present = ", ".join(tables.images["split"].unique())
            raise ValueError(f"the data set has no images in split '{split}' (it has: {present})")
        self.root = root
        self.image_size = image_size
        self.augment = augment
        self.seed = seed
        self.paths: list[str] = rows["image"].tolist()
        self.image_ids: list[int] = rows["image_id"].tolist()
        self._boxes = _boxes_by_image(tables, split)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int | tuple[int, int]) -> Item:
        epoch, position = index if isinstance(index, tuple) else (0, index)
        image_id = self.image_ids[position]
        canvas, letterbox = letterbox_image(
            read_image(self.root / self.paths[position]), self.image_size
        )
        targets = self._boxes.get(image_id, np.zeros((0, 5))).copy()
        targets[:, 1:] = letterbox.normalised_to_canvas(targets[:, 1:])
        image = torch.from_numpy(canvas).permute(2, 0, 1)  # (3, S, S)
        boxes = torch.from_numpy(targets.astype(np.float32))  # (n, 5)
        if self.augment is not None:
            key = np.random.SeedSequence((self.seed, epoch, image_id)).generate_state(1, np.uint64)
            image, boxes = augment_image(image, boxes, self.augment, seed=int(key[0] >> 1))
        return Item(image=image, targets=boxes, image_id=image_id, letterbox=letterbox)


def _boxes_by_image(tables: LabelTables, split: str) -> dict[int, FloatArray]:
    """Rows (n, 5) class, cx, cy, w, h as shares of the image, by image id."""
    rows = tables.labels[tables.labels["split"] == split]
    values = rows[["class_id", "cx", "cy", "w", "h"]].to_numpy(np.float64)
    groups = rows.groupby("image_id", sort=False).indices
    return {int(str(image_id)): values[where] for image_id, where in groups.items()}


def collate(items: list[Item]) -> Batch:
    """Items of one size -> a batch; the boxes get the index of their image in front."""
    targets = [
        torch.cat((torch.full((len(item.targets), 1), float(i)), item.targets), dim=1)
        for i, item in enumerate(items)
    ]
    return Batch(
        images=torch.stack([item.image for item in items]),  # (B, 3, S, S)
        targets=torch.cat(targets),  # (T, 6)
        image_ids=[item.image_id for item in items],
        letterboxes=[item.letterbox for item in items],
    )


class EpochSampler(Sampler[tuple[int, int]]):
    """Positions of one epoch in an order that follows from (seed, epoch) alone."""

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.size)
        return iter([(self.epoch, int(position)) for position in order])


def training_loader(
    dataset: DetectionDataset, sampler: EpochSampler, *, batch_size: int, num_workers: int
) -> "DataLoader[Item]":
    """Batches in the sampler's order; the last, smaller one of an epoch included."""
    return DataLoader(
        dataset,
        batch_size=min(batch_size, len(dataset)),
        sampler=sampler,
        num_workers=num_workers,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
    )


def evaluation_loader(
    dataset: DetectionDataset, *, batch_size: int, num_workers: int
) -> "DataLoader[Item]":
    """Batches in the table's order, each image once."""
    return DataLoader(
        dataset,
        batch_size=batch_size,
        num_workers=num_workers,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
    )
