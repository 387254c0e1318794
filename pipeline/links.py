"""Stage ``links``: a digest of the data behind links to folders, which DVC does not follow.

DVC takes a link to a folder inside a data set for one small file and never sees a change behind it.
People link big disks so. This stage runs at every ``dvc repro`` (``always_changed``), before DVC
looks at what ``validate`` reads, and writes what lies behind such links; without any, nothing.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from pipeline import paths
from pipeline.params.reading import read_section
from pipeline.running.entry import run_stage
from pipeline.workspace.dvc_files import folder_state
from yolov2.config.data import DataConfig
from yolov2.files import write_json


def main() -> None:
    """Write ``artifacts/links.json``."""
    config = read_section("data", DataConfig)
    root = Path(os.path.normpath(Path(config.config).parent / config.root))
    write_json(paths.LINKS, digests(root) if root.is_dir() else {})


def digests(root: Path) -> dict[str, str]:
    """sha256 of names, sizes and times behind each link to a folder below ``root``, by its place.

    ``root`` itself may be a link: DVC follows that one.
    """
    links = sorted(_linked_folders(root))
    return {link.relative_to(root).as_posix(): folder_state(link) for link in links}


def _linked_folders(root: Path) -> Iterator[Path]:
    for folder, below, _ in os.walk(root):
        yield from (path for path in (Path(folder, name) for name in below) if path.is_symlink())


if __name__ == "__main__":
    run_stage(main, options=False)
