"""Which image a training batch asks for, and with what its random changes begin.

Everything random about a training image follows from a ``Draw`` and the seed, never from what
was drawn before, so that an epoch gives the same pixels whether the training ran through or was
taken up again in its middle, with any number of loader workers and of processes.
"""

from typing import NamedTuple


class Draw(NamedTuple):
    """One image of a training batch.

    ``position`` counts the images of the training split in the table's order. ``partners`` are
    the positions of four other images of the same optimiser step: three that a mosaic puts
    beside it, then the one that mixup lays over it. ``side`` is the canvas in pixels,
    ``closing`` is true in the last epochs, without mosaic and mixup.
    """

    epoch: int
    position: int
    partners: tuple[int, int, int, int]
    side: int
    closing: bool
