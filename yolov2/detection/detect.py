"""The detector as one uses it: images in, detections in pixels of those images out.

    detector = Detector.load("models/best.pt")
    for found in detector(["street.jpg", "garden.jpg"]):
        print(found.boxes_xyxy, found.scores, [detector.class_names[i] for i in found.class_ids])

Letters of the shapes: B images, S side of the canvas in pixels, N boxes, C classes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from yolov2.config import DetectConfig
from yolov2.data.image_files import IMAGE_SUFFIXES
from yolov2.data.images import ImageError, letterbox_image, network_input, read_image
from yolov2.detection.detections import Detections
from yolov2.detection.postprocess import postprocess
from yolov2.network.checkpoint import load_detector
from yolov2.network.decode import DecodedYOLOv2
from yolov2.network.device import resolve_device


@dataclass(frozen=True, kw_only=True)
class Detector:
    """A network with what belongs to it; call it with images.

    ``network`` maps images (B, 3, S, S) in [0, 1] on ``device`` to decoded predictions
    (B, N, 5+C); S is ``image_size``.
    """

    network: Callable[[Tensor], Tensor]
    class_names: tuple[str, ...]
    image_size: int
    device: torch.device
    config: DetectConfig = field(default_factory=DetectConfig)

    @classmethod
    def load(
        cls, path: Path | str, device: str = "auto", config: DetectConfig | None = None
    ) -> "Detector":
        """The detector of a checkpoint (``.pt``).

        Raises:
            ValueError: no such file or device, or the file is no checkpoint.
        """
        where = resolve_device(device)
        loaded = load_detector(Path(path), where)
        network = DecodedYOLOv2(loaded.network).eval()
        return cls(
            network=network.to(memory_format=torch.channels_last),
            class_names=loaded.class_names,
            image_size=loaded.image_size,
            device=where,
            config=config or DetectConfig(),
        )

    def __call__(self, images: Sequence[Image.Image | Path | str | bytes]) -> list[Detections]:
        """Detections of each image, in order: files, encoded bytes, or Pillow images in RGB.

        A box has the one class that is likeliest for it.

        Raises:
            ImageError: one of the images cannot be read.
        """
        found: list[Detections] = []
        size = self.config.batch_size
        for start in range(0, len(images), size):
            found += self._detect([_opened(image) for image in images[start : start + size]])
        return found

    def _detect(self, images: list[Image.Image]) -> list[Detections]:
        canvases, letterboxes = zip(
            *(letterbox_image(image, self.image_size) for image in images), strict=True
        )
        with torch.inference_mode():
            batch = torch.from_numpy(network_input(canvases)).to(self.device)  # (B, 3, S, S)
            return postprocess(
                self.network(batch),
                letterboxes,
                conf_threshold=self.config.conf_threshold,
                nms_threshold=self.config.nms_threshold,
                max_detections=self.config.max_detections,
                multi_label=False,
            )


@dataclass(frozen=True, kw_only=True)
class Detected:
    """An image file and what was found in it."""

    path: Path
    image: Image.Image
    detections: Detections


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A file that is no readable image; ``problem`` is a sentence that names it."""

    path: Path
    problem: str


def detect_files(detector: Detector, paths: Sequence[Path]) -> Iterator[Detected | Unreadable]:
    """A result for each file, in order; a file that cannot be read does not stop the others."""
    size = detector.config.batch_size
    for start in range(0, len(paths), size):
        some = paths[start : start + size]
        read = [_read(path) for path in some]
        images = [result for result in read if isinstance(result, Image.Image)]
        found = iter(detector(images))
        for path, result in zip(some, read, strict=True):
            if isinstance(result, Image.Image):
                yield Detected(path=path, image=result, detections=next(found))
            else:
                yield Unreadable(path=path, problem=str(result))


def find_images(source: Path) -> list[Path]:
    """The image file ``source``, or the images directly in the folder ``source``, by name.

    A file is taken whatever its name; in a folder the suffix decides.

    Raises:
        ValueError: nothing is there, or the folder has no images.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise ValueError(f"no such image or folder: {source}")
    images = sorted(path for path in source.iterdir() if _is_image(path))
    if images:
        return images
    below = sorted({path.parent for path in source.rglob("*") if _is_image(path)})
    hint = f"; {below[0]} has some" if below else ""
    suffixes = " ".join(sorted(IMAGE_SUFFIXES))
    raise ValueError(f"no images ({suffixes}) directly in {source}{hint}")


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def _opened(image: Image.Image | Path | str | bytes) -> Image.Image:
    if isinstance(image, Image.Image):
        return image if image.mode == "RGB" else image.convert("RGB")
    return read_image(Path(image) if isinstance(image, str) else image)


def _read(path: Path) -> Image.Image | ImageError:
    try:
        return read_image(path)
    except ImageError as error:
        return error
