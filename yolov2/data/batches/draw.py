"""Which image a training batch asks for, and with what its random changes begin.

Everything random about a training image follows from a ``Draw`` and the seed, never from what
was drawn before, so that an epoch gives the same pixels whether the training ran through or was
taken up again in its middle, with any number of loader workers and of processes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Draw(NamedTuple):
    """One image of a training batch.

    ``position`` counts the images of the training split in the table's order. ``partners`` are
    the positions of four other images of the split: three that a mosaic puts beside it, then the
    one that mixup lays over it. ``side`` is the canvas in pixels,
    ``closing`` is true in the last epochs, without mosaic and mixup.
    """

    epoch: int
    position: int
    partners: tuple[int, int, int, int]
    side: int
    closing: bool


def draw_partners(
    positions: Sequence[int], size: int, rng: np.random.Generator
) -> list[tuple[int, int, int, int]]:
    """Four partners for each of ``positions``: any others of ``size`` images, as likely each.

    Two of them may be the same image; the only image of a split is its own partner.
    """
    steps = rng.integers(1, max(2, size), size=(len(positions), 4))  # from an image to another
    found = (np.asarray(positions)[:, None] + steps) % size
    return [(a, b, c, d) for a, b, c, d in found.tolist()]
