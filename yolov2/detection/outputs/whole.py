"""Files that are there whole or not at all, and what becomes of one that cannot be written."""

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Any

from PIL import Image


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside ``path`` that gets its name, and replaces an older one, when it is whole.

    If that fails nothing is left of it. The folder is made if need be.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # of a length of its own, as the name may be as long as names may be
    name = sha256(path.name.encode()).hexdigest()[:16]
    unfinished = path.with_name(f".{name}.partial")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def write_image(path: Path, image: Image.Image, **options: Any) -> None:
    """The same of an image in the format of the name's ending.

    By way of memory: Pillow does not notice a disk that takes but a part of a JPEG.
    """
    content = BytesIO()
    image.save(content, Image.registered_extensions()[path.suffix.lower()], **options)
    write_whole(path, content.getvalue())


class Unwritten:
    """Tells which inputs have a result that could not be written, each kind of result once.

    ``tell`` gets the name of the input and a sentence, from any thread.
    """

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        self._tell = tell
        self._told: set[tuple[str, str]] = set()
        self._lock = Lock()

    @contextmanager
    def noted(self, name: str, kind: str) -> Iterator[None]:
        """A block that writes the ``kind`` of result of the input ``name``: the rest goes on.

        Full disks, names and sizes that a file system or format does not take end here.
        """
        try:
            yield
        except (OSError, ValueError, struct.error) as error:
            with self._lock:
                if (name, kind) in self._told:
                    return
                self._told.add((name, kind))
                self._tell(name, f"{name}: {kind} could not be written ({reason(error)})")


def reason(error: Exception) -> str:
    """What a person reads of an error of writing."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
