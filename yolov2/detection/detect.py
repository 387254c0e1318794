"""The detector as one uses it: images in, detections in pixels of those images out.

    detector = Detector.load("models/best.pt")
    for found in detector(["street.jpg", "garden.jpg"]):
        print(found)

Each process loads its own: in a fork, threads that the parent has started do not exist.

Letters of the shapes: B images, S side of the canvas, H, W sides of an image in pixels,
N boxes, C classes.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from yolov2.boxes import Letterbox
from yolov2.config.evaluate import DetectConfig
from yolov2.config.section import require
from yolov2.data.images.reading import letterbox_image, read_image, to_rgb
from yolov2.detection.background import default_workers, ordered_map
from yolov2.detection.detections import Detections
from yolov2.detection.postprocess import postprocess
from yolov2.runtime.model_file import open_model
from yolov2.runtime.session import require_own_process
from yolov2.runtime.thresholds import class_thresholds, read_thresholds, thresholds_beside

ImageLike = Image.Image | NDArray[np.uint8] | Path | str | bytes
"""A Pillow image, an array (H, W, 3) uint8 in RGB, a file, or a file's bytes."""

Canvas = tuple[NDArray[np.uint8], Letterbox]
"""An image on its canvas (S, S, 3) uint8, and where on it."""

NEVER = 2.0
"""A threshold that no score exceeds."""


@dataclass(frozen=True, kw_only=True)
class Detector:
    """A network with what belongs to it; call it with images.

    ``network`` maps images (B, 3, S, S) in [0, 1] on ``device`` to decoded predictions
    (B, N, 5+C); S is ``image_size``. ``thresholds`` (C,) are those of the model file, or of
    ``thresholds_file``; ``config.conf_threshold`` overrides them. ``nms_threshold`` stands for
    the config's, if that has none. ``process`` is the one that it may compute in.
    """

    network: Callable[[Tensor], Tensor]
    class_names: tuple[str, ...]
    image_size: int
    device: torch.device
    thresholds: tuple[float, ...]
    thresholds_file: Path | None = None
    nms_threshold: float = 0.5
    config: DetectConfig = field(default_factory=DetectConfig)
    process: int = field(default_factory=os.getpid)

    @classmethod
    def load(
        cls,
        weights: Path | str,
        device: str = "auto",
        config: DetectConfig | None = None,
        thresholds: Path | None = None,
    ) -> "Detector":
        """The detector of a checkpoint, an exported graph or an address (see ``open_model``).

        ``thresholds`` is a ``thresholds.json`` of ``yolov2 evaluate --split val``. Without it, a
        graph has its own, and a checkpoint takes the one in its folder, if it was found with it.

        Raises:
            ValueError: no such model, device or class, a size that the graph does not take, or
                thresholds of another model.
        """
        config = config or DetectConfig()
        opened = open_model(weights, device, half=config.half)
        manifest = opened.manifest
        side = config.image_size or manifest.image_size
        require(
            manifest.dynamic_size or side == manifest.image_size,
            f"{weights} was exported for images of {manifest.image_size} pixels only, not"
            f" {side}: leave the image size out, or use the checkpoint (.pt)",
        )
        _selected(config.classes, manifest.class_names)
        file = thresholds or thresholds_beside(opened.path)
        return cls(
            network=opened.predict,
            class_names=manifest.class_names,
            image_size=side,
            device=opened.device,
            thresholds=_read(file, manifest.class_names) if file else manifest.thresholds,
            thresholds_file=file,
            nms_threshold=manifest.nms_threshold,
            config=config,
        )

    def __call__(self, images: Iterable[ImageLike]) -> list[Detections]:
        """Detections of each image, in order, with boxes in pixels of that image.

        A box has the one class that is likeliest for it. A file is turned as its EXIF
        orientation says, and the boxes are those of the turned image; a Pillow image or an
        array is taken as it is.

        Raises:
            ImageError: one of the images cannot be read.
            ValueError: something is no image at all; this is a fork of the process that loaded it.
        """
        require(
            not isinstance(images, str | bytes | Path | Image.Image | np.ndarray),
            f"a detector takes a list of images, not one {type(images).__name__}:"
            " detector([image])[0]",
        )
        size = self.config.batch_size
        canvases = ordered_map(self.canvas, images, workers=default_workers(), ahead=2 * size)
        found: list[Detections] = []
        while batch := list(islice(canvases, size)):
            found += self.detect(batch)
        return found

    def canvas(self, image: ImageLike) -> Canvas:
        """The image on the network's canvas.

        Raises:
            ImageError: it cannot be read.
            ValueError: it is no image.
        """
        return letterbox_image(_opened(image), self.image_size)

    def detect(self, canvases: Sequence[Canvas]) -> list[Detections]:
        """Detections of images that lie on canvases, as one batch.

        Raises:
            ValueError: this is a fork of the process that loaded it, which would wait for ever.
        """
        threads = torch.get_num_threads() if self.device.type == "cpu" else 2
        require_own_process(self.process, threads)
        pixels, letterboxes = zip(*canvases, strict=True)
        told = self.config.nms_threshold
        with torch.inference_mode():
            batch = torch.from_numpy(np.stack(pixels)).to(self.device)  # (B, S, S, 3)
            images = batch.permute(0, 3, 1, 2).float() / 255  # (B, 3, S, S), channels last
            found = postprocess(
                self.network(images),
                letterboxes,
                conf_threshold=self._class_thresholds(),
                nms_threshold=self.nms_threshold if told is None else told,
                max_detections=self.config.max_detections,
                multi_label=False,
            )
        return [replace(one, class_names=self.class_names) for one in found]

    @property
    def wanted(self) -> dict[int, str]:
        """Names of the classes that are looked for, by id."""
        wanted = _selected(self.config.classes, self.class_names)
        return {i: name for i, name in enumerate(self.class_names) if i in wanted}

    def _class_thresholds(self) -> list[float]:
        """The score that each class (C,) has to exceed."""
        told = self.config.conf_threshold
        thresholds = self.thresholds if told is None else (told,) * len(self.class_names)
        wanted = self.wanted
        return [each if i in wanted else NEVER for i, each in enumerate(thresholds)]


def _read(thresholds: Path, class_names: Sequence[str]) -> tuple[float, ...]:
    """The threshold (C,) of each class, from a file."""
    known = read_thresholds(thresholds)
    try:
        return class_thresholds(known, class_names)
    except ValueError as error:
        raise ValueError(f"{thresholds}: {error}") from None


def _selected(classes: Sequence[str], names: Sequence[str]) -> set[int]:
    """The ids of ``classes``, each a name or an id; of all if there are none."""
    if not classes:
        return set(range(len(names)))
    ids = {str(i): i for i in range(len(names))} | {name: i for i, name in enumerate(names)}
    unknown = [each for each in classes if each not in ids]
    require(
        not unknown,
        f"the model knows no class {', '.join(map(repr, unknown))}; it knows"
        f" {', '.join(f'{i} {name}' for i, name in enumerate(names))}",
    )
    return {ids[each] for each in classes}


def _opened(image: ImageLike) -> Image.Image:
    if isinstance(image, Image.Image):
        return to_rgb(image)
    if isinstance(image, str | bytes | Path):
        return read_image(Path(image) if isinstance(image, str) else image)
    pixels = np.asarray(image)
    require(
        pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size > 0,
        f"an array must be (height, width, 3) uint8 in RGB, not {pixels.shape} {pixels.dtype}",
    )
    return Image.fromarray(pixels)
