"""Where images and boxes go, worked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from yolov2.config.augment import NO_CHANGES
from yolov2.data.batches.geometry import (
    Span,
    Tile,
    mosaic_tiles,
    single_tile,
    to_targets,
    visible_boxes,
)

SIZE = (64, 48)  # width, height
SIDE = 32


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_still_and_centred_it_is_the_letterbox() -> None:
    tile = single_tile(SIZE, SIDE, NO_CHANGES, rng())
    assert (tile.x.source, tile.x.target) == ((0, 64), (0, 32))
    assert (tile.y.source, tile.y.target) == ((0, 48), (4, 28))
    boxes = np.array([[2, 0.5, 0.5, 0.25, 0.5]])
    # 16 +- 4 columns; 4 + 12 +- 6 rows
    assert visible_boxes([boxes], [tile], 0.1).tolist() == [[2, 12, 10, 20, 22]]


def test_twice_as_large_the_middle_is_seen() -> None:
    tile = single_tile(SIZE, SIDE, replace(NO_CHANGES, scale=(2.0, 2.0)), rng())
    # 64 columns long from -16: pixels 16 to 48; 48 rows from -8: pixels 8 to 40
    assert (tile.x.source, tile.x.target) == ((16, 48), (0, 32))
    assert (tile.y.source, tile.y.target) == ((8, 40), (0, 32))


def test_half_as_large_it_lies_in_the_middle() -> None:
    tile = single_tile(SIZE, SIDE, replace(NO_CHANGES, scale=(0.5, 0.5)), rng())
    assert (tile.x.source, tile.x.target) == ((0, 64), (8, 24))
    assert (tile.y.source, tile.y.target) == ((0, 48), (10, 22))


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.7])
def test_moved_anywhere_but_never_off_the_canvas(scale: float) -> None:
    config = replace(NO_CHANGES, translate=1.0, scale=(scale, scale))
    tiles = [single_tile(SIZE, SIDE, config, rng(seed)) for seed in range(300)]
    for axis, size in (("x", 64), ("y", 48)):
        spans: list[Span] = [vars(tile)[axis] for tile in tiles]
        length = size * SIDE / 64 * scale
        if length <= SIDE:
            assert all(span.source == (0, size) for span in spans)
            starts = {span.target[0] for span in spans}
            room = SIDE - length
        else:
            assert all(span.target == (0, SIDE) for span in spans)
            starts = {span.source[0] for span in spans}
            room = (length - SIDE) / length * size
        assert starts == set(range(round(room) + 1))


def test_jitter_changes_the_aspect_as_darknet_does() -> None:
    config = replace(NO_CHANGES, jitter=0.3)
    aspects, longest = [], set()
    for seed in range(2000):
        tile = single_tile((640, 480), 1000, config, rng(seed))
        width, height = (span.target[1] - span.target[0] for span in (tile.x, tile.y))
        aspects.append(width / height)
        longest.add(max(width, height))
    low, high = 4 / 3 * 0.7 / 1.3, 4 / 3 * 1.3 / 0.7
    assert low - 0.01 < min(aspects) < low + 0.1
    assert high - 0.2 < max(aspects) < high + 0.01
    assert longest == {1000}


def test_scale_is_drawn_from_its_range() -> None:
    config = replace(NO_CHANGES, scale=(0.25, 0.75))
    tiles = [single_tile((100, 80), 1000, config, rng(seed)) for seed in range(500)]
    widths = [tile.x.target[1] - tile.x.target[0] for tile in tiles]
    assert 250 <= min(widths) < 260
    assert 740 < max(widths) <= 750


# the right half of the image is seen, on columns 8 to 24 and all rows of a canvas of 32
HALF = Tile(
    x=Span(size=64, source=(32, 64), target=(8, 24)),
    y=Span(size=48, source=(0, 48), target=(0, 32)),
)


@pytest.mark.parametrize(
    ("cx", "w", "min_visible", "left", "right"),
    [
        (0.75, 0.25, 0.9, 12, 20),  # wholly seen: (0.625 * 64 - 32) / 2 + 8
        (0.5, 0.25, 0.5, 8, 12),  # half of it
        (0.5, 0.25, 0.51, None, None),
        (0.45, 0.25, 0.3, 8, 10.4),  # 30 %
        (0.25, 0.25, 0.0, None, None),  # nothing of it, whatever is asked
    ],
)
def test_boxes_are_cut_and_left_out_by_what_is_seen(
    cx: float, w: float, min_visible: float, left: float | None, right: float | None
) -> None:
    found = visible_boxes([np.array([[1, cx, 0.5, w, 0.5]])], [HALF], min_visible - 1e-9)
    expected = [] if left is None else [[1, left, 8, right, 24]]
    assert found.tolist() == [pytest.approx(row) for row in expected]


def test_boxes_of_several_images_go_each_with_its_own() -> None:
    whole = single_tile(SIZE, SIDE, NO_CHANGES, rng())
    middle = np.array([[3, 0.5, 0.5, 0.25, 0.5], [4, 0.75, 0.5, 0.25, 0.5]])
    found = visible_boxes([middle[:1], np.zeros((0, 5)), middle[1:]], [whole, whole, HALF], 0.1)
    assert found.tolist() == [[3, 12, 10, 20, 22], [4, 12, 8, 20, 24]]


def test_targets_are_shares_of_the_canvas_without_slivers() -> None:
    boxes = np.array([[1, 8, 4, 24, 12], [2, 0, 0, 0.03, 20], [0, 5, 5, 20, 5.02]])
    assert to_targets(boxes, 32).tolist() == [[1, 0.5, 0.25, 0.5, 0.25]]
    assert to_targets(np.zeros((0, 5)), 32).shape == (0, 5)


def test_mosaic_of_equal_images_at_a_known_point() -> None:
    tiles = mosaic_tiles([SIZE] * 4, SIDE, NO_CHANGES, rng(5))
    x, y = tiles[0].x.target[1], tiles[0].y.target[1]
    assert 0.2 * SIDE - 1 < x < 0.8 * SIDE + 1
    # 32 columns are longer than either side; of the rows 24
    assert [tile.x.target for tile in tiles] == [(0, x), (x, SIDE)] * 2
    above, below = (max(0, y - 24), y), (y, min(SIDE, y + 24))
    assert [tile.y.target for tile in tiles] == [above, above, below, below]
    for tile in tiles:
        for span, scale in ((tile.x, 2), (tile.y, 2)):
            length = span.target[1] - span.target[0]
            assert abs(span.source[1] - span.source[0] - scale * length) <= 1


def test_small_images_of_a_mosaic_touch_the_point() -> None:
    config = replace(NO_CHANGES, scale=(0.1, 0.2), jitter=0.3, translate=1.0)
    for seed in range(50):
        tiles = mosaic_tiles([(64, 48), (48, 64), (30, 30), (90, 20)], 320, config, rng(seed))
        x, y = tiles[3].x.target[0], tiles[3].y.target[0]
        assert 64 <= x <= 256
        assert 64 <= y <= 256
        assert [tile.x.target[tile is tiles[0] or tile is tiles[2]] for tile in tiles] == [x] * 4
        assert [tile.y.target[index < 2] for index, tile in enumerate(tiles)] == [y] * 4
        assert all(tile.x.source == (0, tile.x.size) for tile in tiles)
