"""The detector run over the batches of a loader."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from yolov2.config import EvaluateConfig
from yolov2.data.dataset import Batch
from yolov2.detection.detections import Detections
from yolov2.detection.postprocess import postprocess


def predict(
    network: Callable[[Tensor], Tensor],
    batches: Iterable[Batch],
    config: EvaluateConfig,
    device: torch.device,
) -> dict[int, Detections]:
    """Detections of every image by image id.

    ``network`` maps images (B, 3, S, S) in [0, 1] on ``device`` to decoded predictions
    (B, N, 5+C); it is in evaluation mode.
    """
    detections: dict[int, Detections] = {}
    with torch.inference_mode():
        for batch in batches:
            images = batch.images.to(device, non_blocking=True)
            images = images.to(torch.float32, memory_format=torch.channels_last) / 255
            found = postprocess(
                network(images),
                batch.letterboxes,
                conf_threshold=config.conf_threshold,
                nms_threshold=config.nms_threshold,
                max_detections=config.max_detections,
            )
            detections.update(zip(batch.image_ids, found, strict=True))
    return detections
