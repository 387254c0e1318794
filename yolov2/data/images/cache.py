"""Whether images are decoded anew in each epoch, or kept in memory or on disk."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from yolov2.data.images.disk_cache import Disk, default_folder
from yolov2.data.images.pixels import Files, Images
from yolov2.data.images.ram_cache import SharedMemory

CacheKind = Literal["none", "ram", "disk"]


def open_images(
    paths: Sequence[Path],
    sizes: Sequence[tuple[int, int]],
    md5s: Sequence[str],
    kind: CacheKind,
    folder: Path | None = None,
    *,
    tell: Callable[[str], None],
) -> Images:
    """The images of ``paths``, of (height, width) pixels ``sizes``, kept as ``kind`` says.

    ``md5s`` are those of the label table, by which ``disk`` knows that one was replaced.
    ``folder`` is for ``disk``: where they are kept, ``None`` for a folder in the user's
    ``~/.cache``. ``tell`` gets to know when it can keep no more.

    Raises:
        CacheError: they do not fit into the free memory or on the disk.
    """
    if kind == "ram":
        return SharedMemory(paths, sizes)
    if kind == "disk":
        return Disk(paths, sizes, md5s, folder or default_folder(), tell)
    return Files(paths)
