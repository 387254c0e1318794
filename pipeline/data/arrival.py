"""A folder of new images and labels, read by the rules of the stage ``validate``.

Where a label file is follows from where its image is (``yolov2.data.description.label_path``):
``images/a.jpg`` -> ``labels/a.txt``; an image in no folder ``images`` has it beside itself.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from yolov2.config.data import ValidateConfig
from yolov2.data.class_names import read_class_names
from yolov2.data.description import IMAGES, LABELS, DataDescription, label_path
from yolov2.data.description_file import read_description_file
from yolov2.data.images.files import IMAGE_SUFFIXES, list_images
from yolov2.data.labels.checks import judge
from yolov2.data.labels.problems import DataError, Problem, errors
from yolov2.data.labels.raw_tables import Progress, read_raw_tables
from yolov2.data.table import LabelTables

CLASSES_TXT = "classes.txt"
LAYOUT = (
    "give a folder with images/ and labels/ below it (images/a.jpg has labels/a.txt), or with"
    " images and their .txt files side by side"
)
SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """What a folder holds: ``tables`` has the images that can be used, named relative to it.

    ``problems`` are those that the policies let pass, ``notes`` what else to know;
    ``labels`` has the label file of each image that has one; ``names_file`` is what told the class
    names, if anything did.
    """

    folder: Path
    tables: LabelTables
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    labels: dict[str, Path]
    names_file: Path | None

    @property
    def unlabelled(self) -> int:
        """Images without a label file: they count as showing no object."""
        return len(self.tables.images) - sum(
            image in self.labels for image in self.tables.images["image"]
        )


def read_arrival(
    folder: Path,
    split: str,
    class_names: tuple[str, ...],
    rules: ValidateConfig,
    progress: Progress | None = None,
) -> Arrival:
    """Read every image and label below ``folder``; all of them are to belong to ``split``.

    Raises:
        DataError: mistakes whose policy is ``error``, each with file:line and advice.
        ValueError: no folder, no images, no labels, another layout than ``LAYOUT``, other class
            names than ``class_names``, label files without an image.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder: {LAYOUT}")
    root = folder.resolve()
    names_file = _same_names(root, folder, class_names)
    images = _images(folder, root)
    description = DataDescription(
        file=folder, root=root, class_names=class_names, images={split: images}
    )
    raw = read_raw_tables(description, progress)
    tables, problems = judge(raw, rules)
    if errors(problems):
        refusal = DataError(problems)
        refusal.add_note(f"\n{folder}: nothing of it was added")
        raise refusal
    return Arrival(
        folder=root,
        tables=tables,
        problems=tuple(problems),
        notes=raw.notes,
        labels={
            path.relative_to(root).as_posix(): label_path(path)
            for path in images
            if label_path(path).is_file()
        },
        names_file=names_file,
    )


def _images(folder: Path, root: Path) -> tuple[Path, ...]:
    try:
        images = list_images(["."], root)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}: {LAYOUT}") from None
    outside = next((path for path in images if not label_path(path).is_relative_to(root)), None)
    if outside is not None:
        raise ValueError(
            f"{folder}: the labels of {outside.name} would be in {label_path(outside).parent},"
            f" outside of it: {LAYOUT}"
        )
    _refuse_orphans(folder, root, images)
    return images


def place_in_batch(image: str) -> tuple[str, str]:
    """Where an image and its label file go, relative to the batch, as their rule has it."""
    path = PurePosixPath(image)
    if IMAGES not in path.parts[:-1]:
        path = PurePosixPath(IMAGES) / path
    return path.as_posix(), label_path(Path(path)).as_posix()


def _same_names(root: Path, folder: Path, class_names: tuple[str, ...]) -> Path | None:
    """The file in ``root`` that tells class names, which must be those of the data set."""
    found = _names_in(root)
    if found is None:
        return None
    file, names = found
    if names == class_names:
        return file
    for number, (theirs, ours) in enumerate(zip(names, class_names, strict=False)):
        if theirs != ours:
            raise ValueError(
                f"{folder / file.name}: class {number} is '{theirs}' there and '{ours}' in the data"
                f" set ({', '.join(class_names)}): renumber the labels, then correct {file.name}"
            )
    raise ValueError(
        f"{folder / file.name}: has {len(names)} classes and the data set {len(class_names)}"
        f" ({', '.join(class_names)}): they must be the same, in the same order"
    )


def _names_in(root: Path) -> tuple[Path, tuple[str, ...]] | None:
    described = [root / "data.yaml", root / "data.yml", *sorted(root.glob("*.y*ml"))]
    for file in described:
        if file.is_file():
            document = read_description_file(file)
            if "names" in document.values:
                return file, read_class_names(document)
    for file in (root / CLASSES_TXT, root / LABELS / CLASSES_TXT):  # as labelImg writes it
        if file.is_file():
            lines = file.read_text(encoding="utf-8-sig").splitlines()
            return file, tuple(line.strip() for line in lines if line.strip())
    return None


def _refuse_orphans(folder: Path, root: Path, images: Sequence[Path]) -> None:
    """A label file in a folder ``labels`` without an image: one of the two is lost or misnamed."""
    wanted = {label_path(path) for path in images}
    orphans = [
        file.relative_to(root).as_posix()
        for file in sorted(root.rglob("*.txt"))
        if LABELS in file.relative_to(root).parts[:-1]
        and file.name != CLASSES_TXT
        and file not in wanted
    ]
    if orphans:
        endings = Counter(Path(name).parent.as_posix() for name in orphans)
        places = ", ".join(f"{count} in {place}/" for place, count in endings.items())
        listed = "\n".join(f"  {name}" for name in orphans[:SHOWN])
        raise ValueError(
            f"{folder}: {len(orphans)} label files have no image ({places}): add the images"
            f" ({' '.join(sorted(IMAGE_SUFFIXES))}), or remove the label files:\n{listed}"
        )
