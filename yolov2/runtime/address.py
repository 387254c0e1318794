"""Where the weights are: a file, or an address such as ``models:/yolov2@champion``.

The detector knows no registry. Whoever does, registers a function for its scheme in the entry
point group ``yolov2.weights``: it takes the address and the suffixes of the files that would do,
best first, and gives the path of one of them on this machine.
"""

import re
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path

GROUP = "yolov2.weights"
ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/")
"""A scheme of two letters or more: ``C:/`` is a drive."""

Provider = Callable[[str, Sequence[str]], Path]


def resolve(weights: str | Path, *, prefer: Sequence[str]) -> Path:
    """The local file that ``weights`` names; a path is taken as it is, whether it exists or not.

    Raises:
        ValueError: nothing installed understands the address, or it leads nowhere.
    """
    text = str(weights)
    found = ADDRESS.match(text)
    if found is None:
        return Path(text)
    scheme = found.group(1)
    known = entry_points(group=GROUP)
    if scheme not in known.names:
        schemes = ", ".join(sorted(f"{name}:/" for name in known.names)) or "none"
        raise ValueError(
            f"{text}: nothing installed here finds weights at '{scheme}:/' addresses (known:"
            f" {schemes}): give the path of a file"
        )
    provider: Provider = known[scheme].load()
    return provider(text, prefer)
