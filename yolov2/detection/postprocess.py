"""Decoded predictions -> detections in pixels of the original images.

Score thresholding, non-maximum suppression within each class, the best so many of an image, and
the way back from the canvas to the image: for a whole batch at once, on the network's device.

Candidates, (box, class) pairs, have one order everywhere here, in exported graphs and in the
served model: by descending score, then by place in the predictions, box before class. So equal
scores, which rounded or saturated networks give many of, come out the same on every device.

Letters of the shapes: B images, N boxes of an image, C classes, M candidates of the batch,
K detections of the batch.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import batched_nms, nms

from yolov2.boxes import Letterbox
from yolov2.detection.detections import Detections as Detections

MAX_CANDIDATES = 30_000
"""At most so many (box, class) pairs of an image, the best by score, enter the suppression: at
a threshold of 0.001 and 80 classes an untrained network offers 160,000 of them."""

FIRST_CANDIDATES = 10
"""So many of them for each wanted detection are tried first. A box is only ever suppressed by a
better one: if enough of the best survive, the others cannot change the result."""

MIN_SIDE = 0.01
"""Pixels of the canvas that a box must cover in both directions within the image; less is a box
beside the image or a line."""


def postprocess(
    predictions: Tensor,
    letterboxes: Sequence[Letterbox],
    *,
    conf_threshold: float | Sequence[float],
    nms_threshold: float,
    max_detections: int,
    multi_label: bool = True,
) -> list[Detections]:
    """Detections of each image of a batch.

    Args:
        predictions: decoded (B, N, 5+C): cx, cy, w, h in canvas pixels, objectness, class
            probabilities.
        letterboxes: where each of the B images lies on its canvas.
        conf_threshold: a detection's score, objectness * class probability, is greater; one
            number, or one for each of the C classes.
        nms_threshold: of two boxes of one class with a greater IoU only the better stays.
        max_detections: at most so many of an image, over all classes, by score.
        multi_label: whether a box may count for several classes, as average precision wants;
            otherwise only for the likeliest.

    Raises:
        ValueError: the predictions hold NaN or infinite values, or there are not C thresholds.
    """
    predictions = predictions.float()
    if not bool(torch.isfinite(predictions).all()):
        raise ValueError(
            "the network's predictions hold NaN or infinite values: its weights are broken, "
            "most likely by a diverged training (a lower train.lr or longer warm-up helps), or, "
            "if it computes in half precision, too large for that (float32 helps)"
        )
    boxes = _xyxy(predictions[..., :4])  # (B, N, 4)
    scores = predictions[..., 4:5] * predictions[..., 5:]  # (B, N, C)
    scores = scores * _touches_image(boxes, letterboxes)[..., None]
    if not multi_label:
        likeliest = scores.argmax(dim=-1, keepdim=True)
        scores = torch.zeros_like(scores).scatter(-1, likeliest, scores.gather(-1, likeliest))
    scores = scores * (scores > _thresholds(conf_threshold, scores))
    offered = (scores > 0).sum(dim=(1, 2))  # (B,)
    for limit in (min(FIRST_CANDIDATES * max_detections, MAX_CANDIDATES), MAX_CANDIDATES):
        image, box, class_id, score = _candidates(scores, limit)  # (M,) each
        chosen = boxes[image, box]  # (M, 4)
        kept = _suppress(chosen, score, image * scores.shape[-1] + class_id, nms_threshold)
        kept = _best_per_image(kept, image[kept], max_detections)  # (K,) by image, then score
        counts = torch.bincount(image[kept], minlength=len(letterboxes))
        if bool(((counts == max_detections) | (offered <= limit)).all()):
            break
    return _to_images(chosen[kept], score[kept], class_id[kept], counts.tolist(), letterboxes)


def _thresholds(threshold: float | Sequence[float], scores: Tensor) -> Tensor:
    """One threshold, or one a class (C,), beside the scores (B, N, C)."""
    if not isinstance(threshold, Sequence):
        return scores.new_tensor(threshold)
    if len(threshold) != scores.shape[-1]:
        raise ValueError(
            f"{len(threshold)} confidence thresholds for {scores.shape[-1]} classes: give one for"
            " all, or one for each"
        )
    return scores.new_tensor(threshold)


def _xyxy(boxes_cxcywh: Tensor) -> Tensor:
    """Boxes (..., 4) as left, top, right, bottom."""
    centre, half = boxes_cxcywh[..., :2], boxes_cxcywh[..., 2:] / 2
    return torch.cat((centre - half, centre + half), dim=-1)


def _touches_image(boxes_xyxy: Tensor, letterboxes: Sequence[Letterbox]) -> Tensor:
    """Whether (B, N) a canvas box (B, N, 4) keeps an area when clipped to its image."""
    edges = torch.tensor(
        [[b.left, b.top, b.left + b.new_width, b.top + b.new_height] for b in letterboxes],
        dtype=boxes_xyxy.dtype,
        device=boxes_xyxy.device,
    )[:, None, :]  # (B, 1, 4)
    low = torch.maximum(boxes_xyxy[..., :2], edges[..., :2])
    high = torch.minimum(boxes_xyxy[..., 2:], edges[..., 2:])
    return ((high - low) >= MIN_SIDE).all(dim=-1)


def _candidates(scores: Tensor, limit: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Image, box, class and score, each (M,), of the ``limit`` best scores (B, N, C) above 0.

    By image, then by place (box, then class).
    """
    classes = scores.shape[-1]
    flat = scores.flatten(1)  # (B, N*C)
    if flat.shape[1] > limit:
        pair = _first_best(flat, limit)  # (B, limit)
        score = flat.gather(1, pair)
    else:
        score, pair = flat, torch.arange(flat.shape[1], device=flat.device).expand_as(flat)
    image, place = torch.where(score > 0)  # (M,)
    pair = pair[image, place]
    return image, pair // classes, pair % classes, score[image, place]


def _first_best(scores: Tensor, limit: int) -> Tensor:
    """Places (B, limit), ascending, of the best of the scores (B, P), P > limit.

    ``topk`` is fast, but which of several equal scores at its end it takes is chance: where that
    matters those that come first are counted off.
    """
    best, place = scores.topk(limit + 1, dim=1)  # (B, limit + 1)
    chosen, last = place[:, :limit].clone(), best[:, limit - 1]
    unclear = (last == best[:, limit]) & (last > 0)  # (B,)
    for image in unclear.nonzero().flatten().tolist():
        better = (scores[image] > last[image]).nonzero().flatten()
        equal = (scores[image] == last[image]).nonzero().flatten()
        chosen[image] = torch.cat((better, equal[: limit - len(better)]))
    return chosen.sort(dim=1).values


def _suppress(boxes_xyxy: Tensor, scores: Tensor, group: Tensor, threshold: float) -> Tensor:
    """Indices (K,) of the boxes (M, 4) that survive in their group (M,): by score, then index.

    A processor takes group after group; ``batched_nms`` would search all boxes for each. On a
    card it shifts each group to a place of its own, by the greatest coordinate: that needs
    coordinates that are not negative, and double precision, or an image's result would depend
    on its neighbours in the batch. Neither need know the order of equal scores: both are given
    the ranks.
    """
    if len(scores) == 0:
        return torch.zeros(0, dtype=torch.int64, device=scores.device)
    order = torch.argsort(scores, descending=True, stable=True)  # (M,)
    boxes, groups = boxes_xyxy.double()[order], group[order]
    falling = torch.arange(len(order), 0, -1, dtype=boxes.dtype, device=boxes.device)
    if boxes.is_cuda:
        return order[batched_nms(boxes - boxes.min(), falling, groups, threshold)]
    by_group = torch.argsort(groups, stable=True)  # (M,)
    sizes = torch.unique_consecutive(groups[by_group], return_counts=True)[1].tolist()
    parts = zip(by_group.split(sizes), boxes[by_group].split(sizes), strict=True)
    alive = torch.zeros_like(group, dtype=torch.bool)
    for members, own in parts:
        alive[members[nms(own, falling[: len(own)], threshold)]] = True
    return order[alive]


def _best_per_image(kept: Tensor, image: Tensor, limit: int) -> Tensor:
    """The first ``limit`` of ``kept`` (K,) of each image (K,), ordered by image."""
    order = torch.argsort(image, stable=True)
    sorted_image = image[order]
    first = torch.searchsorted(sorted_image, sorted_image)  # start of each one's image
    rank = torch.arange(len(order), device=order.device) - first
    return kept[order[rank < limit]]


def _to_images(
    boxes_xyxy: Tensor,
    scores: Tensor,
    class_ids: Tensor,
    counts: Sequence[int],
    letterboxes: Sequence[Letterbox],
) -> list[Detections]:
    """The batch's detections (K, ...), ``counts`` of each image, in pixels of the images."""
    boxes = boxes_xyxy.double().cpu().split(list(counts))
    score = scores.cpu().split(list(counts))
    class_id = class_ids.cpu().split(list(counts))
    return [
        Detections(
            boxes_xyxy=letterbox.canvas_to_image(boxes[i].numpy()).astype("float32"),
            scores=score[i].numpy(),
            class_ids=class_id[i].numpy(),
        )
        for i, letterbox in enumerate(letterboxes)
    ]
