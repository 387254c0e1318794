"""Random annotated images with all that COCO allows: crowds, areas of masks, gaps in ids, ties."""

import numpy as np

from yolov2.detection.detections import Detections, GroundTruth


def hard_case(seed, images=25, classes=4):
    """Truth and detections by image id; the last class has no object."""
    random = np.random.default_rng(seed)
    truth, detections = {}, {}
    for image_id in random.permutation(images * 7)[:images].tolist():
        count = int(random.integers(0, 8))
        corner = random.uniform(0, 300, (count, 2))
        size = np.exp(random.uniform(2, 5.5, (count, 2)))
        box = np.concatenate((corner, corner + size), axis=1)
        class_ids = random.integers(0, classes - 1, count)
        truth[image_id] = GroundTruth(
            boxes_xyxy=box,
            class_ids=class_ids,
            crowd=random.random(count) < 0.15,
            areas=size.prod(axis=1) * random.uniform(0.3, 1, count),
        )
        noisy = np.concatenate([box + random.normal(0, 0.1, box.shape) * np.tile(size, 2)] * 2)
        stray = np.sort(random.uniform(0, 400, (6, 2, 2)), axis=1).reshape(6, 4)
        scores = random.integers(0, 20, 2 * count + 6) / 20  # many are equal
        order = np.argsort(-scores, kind="stable")
        labels = np.concatenate((class_ids, class_ids, random.integers(0, classes, 6)))
        detections[image_id] = Detections(
            boxes_xyxy=np.concatenate((noisy, stray))[order].astype(np.float32),
            scores=scores[order].astype(np.float32),
            class_ids=labels[order],
        )
    return truth, detections
