"""What ``yolov2 detect`` says at the end."""

import time
from collections import Counter
from collections.abc import Iterable


class Report:
    """Counts results while they come."""

    def __init__(self) -> None:
        self.images, self.unreadable = 0, 0
        self.unwritten: set[str] = set()
        self.classes: Counter[str] = Counter()
        self.start()

    def start(self) -> None:
        """Images a second count from now."""
        self.started = time.perf_counter()

    def add(self, names: Iterable[str]) -> None:
        """An image in which objects of these class names were found."""
        self.images += 1
        self.classes.update(names)

    def add_unreadable(self) -> None:
        """An input that could not be read."""
        self.unreadable += 1

    def add_unwritten(self, name: str) -> None:
        """An input, of which something could not be written; from any thread."""
        self.unwritten.add(name)

    def summary(self) -> str:
        """One line: how many images and detections of which classes, how fast."""
        seconds = time.perf_counter() - self.started
        classes = ", ".join(f"{name}: {count}" for name, count in self.classes.most_common())
        text = f"{_many(self.images, 'image')}, {_many(self.classes.total(), 'detection')}"
        text += f" ({classes})" if classes else ""
        text += f", {_many(self.unreadable, 'file')} could not be read" if self.unreadable else ""
        if self.unwritten:
            text += f", results of {_many(len(self.unwritten), 'file')} could not be written"
        return f"{text}, {self.images / seconds:.1f} images/s"


def _many(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
