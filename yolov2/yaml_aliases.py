"""YAML whose aliases, naming each other, say more than a machine can hold ("billion laughs").

A file of half a kilobyte can stand for gigabytes. The parsers of PyYAML and ruamel.yaml share what
an alias names, so that reading costs nothing; whoever writes the values out, in a message or as
JSON, pays. So the tree is measured first; both libraries' nodes have the same attributes.
"""

from pathlib import Path
from typing import Any

MOST_REPEATED = 1_000_000
"""Characters that the aliases of a file may add to it: far more than any settings need."""

LONGEST_VALUE = 100
"""Characters of a value that a message shows."""


def refuse_bombs(root: Any, file: Path) -> None:
    """Raise ``ValueError``, with file, line and key, if the aliases of a tree repeat too much.

    ``root`` is what a library's ``compose`` gives: a node, or ``None`` for an empty file.
    """
    if root is None:
        return
    tree = _Tree()
    for key, value in root.value if root.id == "mapping" else [(root, root)]:
        where = f"{file}:{key.start_mark.line + 1}: {cut(str(key.value))}"
        try:
            tree.measure(value)
        except _InsideItselfError:
            raise ValueError(
                f"{where}: the alias *name stands inside what it names: write it out"
            ) from None
        if tree.repeated > MOST_REPEATED:
            raise ValueError(
                f"{where}: its aliases (*name) repeat more than {MOST_REPEATED:,} characters:"
                " write out what it is to say"
            )


def shown(value: object) -> str:
    """``repr(value)`` as far as a message shows it."""
    return cut(repr(value))


def cut(text: str) -> str:
    """``text``, at most ``LONGEST_VALUE`` characters of it: a message is a line to read."""
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


class _InsideItselfError(Exception):
    """An alias stands inside what it names."""


class _Tree:
    """Nodes as they are met: the size of each, and what those met again have added to it."""

    def __init__(self) -> None:
        self.repeated = 0
        self._sizes: dict[int, int | None] = {}  # None: not at its end yet

    def measure(self, node: Any) -> int:
        """Characters that ``node`` stands for, everything written out."""
        if id(node) in self._sizes:
            size = self._sizes[id(node)]
            if size is None:
                raise _InsideItselfError
            self.repeated += size
            return size
        self._sizes[id(node)] = None
        size = 1
        if isinstance(node.value, str):
            size += len(node.value)
        else:
            for item in node.value:
                size += sum(map(self.measure, item if isinstance(item, tuple) else (item,)))
        self._sizes[id(node)] = size
        return size
