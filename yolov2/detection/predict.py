"""The detector run over the batches of a loader."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from yolov2.config.evaluate import EvaluateConfig
from yolov2.data.batches.dataset import Batch
from yolov2.data.batches.loader import Tell, silent
from yolov2.detection.detections import Detections
from yolov2.detection.postprocess import postprocess
from yolov2.network.device import TooLittleMemoryError, is_out_of_memory, memory_figures


def predict(
    network: Callable[[Tensor], Tensor],
    batches: Iterable[Batch],
    config: EvaluateConfig,
    device: torch.device,
    tell: Tell = silent,
) -> dict[int, Detections]:
    """Detections of every image by image id.

    ``network`` maps images (B, 3, S, S) in [0, 1] on ``device`` to decoded predictions
    (B, N, 5+C); it is in evaluation mode. A batch for which the memory does not suffice is
    computed in parts, as ``tell`` gets to know.

    Raises:
        TooLittleMemoryError: the memory does not suffice for one image.
    """

    def found(images: Tensor, batch: Batch, start: int) -> list[Detections]:
        images = images.to(device, non_blocking=True)
        images = images.to(torch.float32, memory_format=torch.channels_last) / 255
        return postprocess(
            network(images),
            batch.letterboxes[start : start + len(images)],
            conf_threshold=config.conf_threshold,
            nms_threshold=config.nms_threshold,
            max_detections=config.max_detections,
        )

    detections: dict[int, Detections] = {}
    most: int | None = None  # images at a time
    with torch.inference_mode():
        for batch in batches:
            start = 0
            while start < len(batch.image_ids):
                images = batch.images[start:][:most]  # uint8 (B, 3, S, S)
                try:
                    part = found(images, batch, start)
                except (RuntimeError, MemoryError) as error:
                    if not is_out_of_memory(error):
                        raise
                    part = None
                if part is None:  # behind the handler: its error holds on to the tensors
                    most = _halved(images, device, tell)
                    continue
                detections.update(zip(batch.image_ids[start:], part, strict=False))
                start += len(part)
    return detections


def _halved(images: Tensor, device: torch.device, tell: Tell) -> int:
    """Half the number of ``images`` (B, 3, S, S), which do not fit."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    count, side, figures = len(images), images.shape[-1], memory_figures(device)
    start = f"out of memory on {device}:"
    if count == 1:
        raise TooLittleMemoryError(
            f"{start} not even one image of {side}x{side} pixels fits ({figures}). What helps: a"
            " smaller model.image_size or model.width, fewer loader workers, nothing else on this"
            " machine"
        )
    tell(
        f"{start} {count} images of {side}x{side} pixels at a time do not fit ({figures}):"
        f" {count // 2} at a time from here on"
    )
    return count // 2
