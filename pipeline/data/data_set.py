"""The data set that ``params.yaml`` names, seen as something that batches can be added to.

A description that a stage makes, or that ``dvc import`` brought, cannot be edited: the next run
would undo it. It gets a description of its own beside it, ``extended/data.yaml``, that names its
splits and the batches.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.workspace.dvc_files import Output, outputs
from pipeline.workspace.git import ask_git
from yolov2.config.data import DataConfig
from yolov2.data.description import DataDescription, read_description

BATCHES = "batches"
LOG = "batches.yaml"
EXTENDED = Path("extended/data.yaml")


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Where batches go, all paths absolute.

    ``now`` is the data set as it is; ``description`` the file that names batches (it may not be
    there yet); ``root`` its data root; ``tracked`` the folder under ``dvc add`` that the batches
    will lie in, if any; ``config`` the section ``data`` of ``params.yaml`` that belongs to it.
    """

    now: DataDescription
    description: Path
    root: Path
    batches: Path
    log: Path
    tracked: Output | None
    config: DataConfig

    def entry(self, name: str) -> str:
        """What a split's list in the description says for the batch ``name``."""
        return (self.batches / name).relative_to(self.root).as_posix()

    def holds(self, name: str) -> bool:
        """Whether the batch ``name`` is a part of the data set as it is."""
        images = (path for paths in self.now.images.values() for path in paths)
        return any(path.is_relative_to(self.batches / name) for path in images)


def find_data_set(config: DataConfig) -> DataSet:
    """The data set of ``params.yaml``'s section ``data``; the current folder is the repository.

    Raises:
        ValueError: no DVC repository here, the description is wrong or missing, or the data lie
            where DVC cannot version them.
    """
    here = Path.cwd().resolve()
    if not (here / ".dvc").is_dir():
        raise ValueError(
            f"{here} is no DVC repository: run from the root of one (`dvc init` makes it)"
        )
    file = Path(os.path.abspath(config.config))
    maker = _made(file, here)
    if maker is not None:
        if not file.exists():
            raise ValueError(
                f"{config.config} is made by {maker.owner} and not there yet: run `dvc repro`"
                " (or `dvc pull`) first"
            )
        return _extended(read_description(file), maker, here)
    now = read_description(file)
    beside = file.resolve().parent
    home = beside if beside.is_relative_to(now.root) else now.root
    for place in (now.root, beside):
        if not place.is_relative_to(here) or place == here:
            raise ValueError(
                f"{place} of the data set {config.config} is not a folder below {here}, where DVC"
                " could version it: move the data set to a folder of this repository (data/NAME)"
                " and set data.config"
            )
    return _data_set(now, file.resolve(), now.root, home, config, here)


def _extended(base: DataDescription, maker: Output, here: Path) -> DataSet:
    root = maker.path.parent
    description = root / EXTENDED
    if root == here:
        raise ValueError(
            f"{base.file} is made by {maker.owner} in the repository's root, which DVC cannot watch"
            " as a whole: let it be made below a folder like data/"
        )
    config = DataConfig(
        config=description.relative_to(here).as_posix(),
        root=os.path.relpath(root, description.parent),
    )
    now = read_description(description) if description.exists() else base
    return _data_set(now, description, root, description.parent, config, here)


def _data_set(
    now: DataDescription, file: Path, root: Path, home: Path, config: DataConfig, here: Path
) -> DataSet:
    batches = home / BATCHES
    covering = [out for out in outputs(batches, here) if batches.is_relative_to(out.path)]
    tracked = covering[0] if covering else None
    top = tracked.path if tracked else home
    log = top.parent / f"{top.name}.{LOG}" if tracked else home / LOG
    return DataSet(
        now=now,
        description=file,
        root=root,
        batches=batches,
        log=log,
        tracked=tracked,
        config=config,
    )


def _made(file: Path, here: Path) -> Output | None:
    covering = (out for out in outputs(file, here) if file.is_relative_to(out.path))
    return next((out for out in covering if out.made), None)


def is_versioned(data: DataSet) -> bool:
    """Whether DVC or git has the data set's first image: a sample of what was there before."""
    image = next(iter(data.now.images.values()))[0]
    if any(image.is_relative_to(out.path) for out in outputs(image, Path.cwd().resolve())):
        return True
    return ask_git("ls-files", "--error-unmatch", str(image)) is not None
