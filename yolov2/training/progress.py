"""The form of a progress bar over the steps of an epoch."""

from collections.abc import Iterable
from typing import Protocol

from yolov2.data.batches.plan import Step


class Progress(Protocol):
    """Wraps the steps of an epoch, to show a bar; ``tqdm`` has this form."""

    def __call__(self, steps: Iterable[Step], /, *, desc: str, total: int) -> Iterable[Step]:
        """The same ``total`` steps, with a bar headed ``desc``."""


def silent(steps: Iterable[Step], /, *, desc: str, total: int) -> Iterable[Step]:
    """No progress bar."""
    return steps
