"""Non-maximum suppression within the ONNX graph, and how such a graph is run.

What ``yolov2.detection.postprocess`` does, for images that fill the whole canvas, and in its order:
of equal values ``TopK`` and ``NonMaxSuppression`` take the first. The thresholds are inputs with
defaults: who gives only ``images`` detects with those of the manifest.

Letters of the shapes: B images, N boxes of an image, C classes, D detections of the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yolov2.runtime.graphs import Images, open_session
from yolov2.runtime.manifest import DETECTIONS, INPUT, OUTPUT, Manifest
from yolov2.runtime.session import Session

if TYPE_CHECKING:
    from onnx import ModelProto

MAX_DETECTIONS = 300
IO = (INPUT, OUTPUT, DETECTIONS, "conf_threshold", "nms_threshold", "max_detections", "multi_label")

SUPPRESSION = f"""
suppression (
    float[batch, 3, height, width] {INPUT}, float[batch, boxes, values] {OUTPUT},
    float[classes] conf_threshold, float[1] nms_threshold, int64[1] max_detections,
    bool[1] multi_label
) => (float[found, 7] {DETECTIONS}) <
    int64[1] zero = {{0}}, int64[1] one = {{1}}, int64[1] two = {{2}}, int64[1] four = {{4}},
    int64[1] five = {{5}}, int64[1] last = {{-1}}, int64[1] end = {{9223372036854775807}},
    int64 first = {{0}}, int64 step = {{1}}, float none = {{0.0}}, float half = {{0.5}},
    float least = {{0.01}}, float[1] no_score = {{0.0}}
> {{
    centre = Slice ({OUTPUT}, zero, two, last)
    size = Slice ({OUTPUT}, two, four, last)
    objectness = Slice ({OUTPUT}, four, five, last)
    probability = Slice ({OUTPUT}, five, end, last)
    reach = Mul (size, half)
    low = Sub (centre, reach)
    high = Add (centre, reach)
    corners = Concat <axis = -1> (low, high)
    all_scores = Mul (objectness, probability)

    sides = Shape <start = 2> ({INPUT})
    sides_float = Cast <to = 1> (sides)
    height_side, width_side = Split <num_outputs = 2> (sides_float)
    canvas = Concat <axis = 0> (width_side, height_side)
    low_inside = Max (low, none)
    high_inside = Min (high, canvas)
    extent = Sub (high_inside, low_inside)
    smaller = ReduceMin <keepdims = 1> (extent, last)
    visible = GreaterOrEqual (smaller, least)

    sizes = Shape (all_scores)
    classes_at = Gather <axis = 0> (sizes, two)
    classes_count = Squeeze (classes_at)
    class_ids = Range (first, classes_count, step)
    likeliest = ArgMax <axis = -1, keepdims = 1> (all_scores)
    is_likeliest = Equal (likeliest, class_ids)
    may_count = Or (is_likeliest, multi_label)
    is_above = Greater (all_scores, conf_threshold)
    is_seen = And (may_count, visible)
    counts = And (is_seen, is_above)
    scores = Where (counts, all_scores, none)
    by_class = Transpose <perm = [0, 2, 1]> (scores)
    chosen = NonMaxSuppression (corners, by_class, max_detections, nms_threshold, no_score)

    image_at = Slice (chosen, zero, one, one)
    class_at = Slice (chosen, one, two, one)
    box_at = Slice (chosen, two, end, one)
    place = Concat <axis = 1> (image_at, box_at)
    inside = Concat <axis = -1> (low_inside, high_inside)
    boxes = GatherND (inside, place)
    score = GatherND (by_class, chosen)
    score_column = Unsqueeze (score, one)
    image_float = Cast <to = 1> (image_at)
    class_float = Cast <to = 1> (class_at)
    found_rows = Concat <axis = 1> (image_float, boxes, score_column, class_float)

    image = Squeeze (image_at, one)
    found_count = Shape (score)
    box_start = Mul (box_at, classes_at)
    place_column = Add (box_start, class_at)
    place_in_image = Squeeze (place_column, one)
    sorted_places, by_place = TopK <largest = 0> (place_in_image, found_count)
    score_by_place = Gather <axis = 0> (score, by_place)
    sorted_scores, then_by_score = TopK (score_by_place, found_count)
    by_score = Gather <axis = 0> (by_place, then_by_score)
    image_by_score = Gather <axis = 0> (image, by_score)
    sorted_image, then_by_image = TopK <largest = 0> (image_by_score, found_count)
    order = Gather <axis = 0> (by_score, then_by_image)
    sorted_rows = Gather <axis = 0> (found_rows, order)

    batch_size = Shape <start = 0, end = 1> ({OUTPUT})
    images_count = Squeeze (batch_size)
    image_ids = Range (first, images_count, step)
    image_column = Unsqueeze (image_ids, one)
    is_of_image = Equal (image_column, sorted_image)
    ones = Cast <to = 7> (is_of_image)
    of_image = ReduceSum <keepdims = 0> (ones, one)
    starts = CumSum <exclusive = 1> (of_image, zero)
    found_length = Squeeze (found_count)
    position = Range (first, found_length, step)
    start = Gather <axis = 0> (starts, sorted_image)
    rank = Sub (position, start)
    is_kept = Less (rank, max_detections)
    {DETECTIONS} = Compress <axis = 0> (sorted_rows, is_kept)
}}
"""


def with_suppression(model: "ModelProto", manifest: Manifest) -> "ModelProto":
    """``model``, which gives ``predictions``, with ``detections`` (D, 7) as its first output.

    A row is: image of the batch, left, top, right, bottom in pixels of the canvas, score, class;
    by image, then by descending score, then by place in the predictions (box, then class).
    """
    from onnx import ModelProto, numpy_helper, parser

    added = parser.parse_graph(SUPPRESSION)
    for node in added.node:
        node.input[:] = [_named(name) for name in node.input]
        node.output[:] = [_named(name) for name in node.output]
        node.name = node.output[0]
    for tensor in added.initializer:
        tensor.name = _named(tensor.name)
    result = ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    graph.node.extend(added.node)
    graph.initializer.extend(added.initializer)
    graph.input.extend(added.input[2:])
    defaults: dict[str, NDArray[Any]] = {
        "conf_threshold": np.array(manifest.thresholds, dtype=np.float32),
        "nms_threshold": np.array([manifest.nms_threshold], dtype=np.float32),
        "max_detections": np.array([MAX_DETECTIONS], dtype=np.int64),
        "multi_label": np.array([False]),
    }
    for name, value in defaults.items():
        graph.initializer.append(numpy_helper.from_array(value, name))
    graph.output.insert(0, added.output[0])
    return result


def _named(name: str) -> str:
    return name if name in IO or not name else f"suppression/{name}"


@dataclass(frozen=True, kw_only=True)
class SuppressingGraph:
    """An ONNX graph with suppression, opened on the CPU; call it with images."""

    session: Session
    manifest: Manifest

    def __call__(
        self,
        images: Images,
        *,
        conf_threshold: Sequence[float],
        nms_threshold: float,
        max_detections: int,
        multi_label: bool,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Detections (D, 7) of images (B, 3, S, S), and the predictions (B, N, 5+C) behind them."""
        given = {
            INPUT: images,
            "conf_threshold": np.array(conf_threshold, dtype=np.float32),
            "nms_threshold": np.array([nms_threshold], dtype=np.float32),
            "max_detections": np.array([max_detections], dtype=np.int64),
            "multi_label": np.array([multi_label]),
        }
        detections, predictions = self.session.run([DETECTIONS, OUTPUT], given)
        return detections, predictions

    def detect(self, images: Images) -> NDArray[np.float32]:
        """Detections (D, 7) of images (B, 3, S, S) with the thresholds of the manifest."""
        return np.asarray(self.session.run([DETECTIONS], {INPUT: images})[0])


def open_suppressing(path: Path) -> SuppressingGraph:
    """The graph of ``path``.

    Raises:
        ValueError: it is no graph of ours.
    """
    session, manifest = open_session(path)
    return SuppressingGraph(session=session, manifest=manifest)
