"""Everything that a data set's image and label files say, before any judgement."""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yolov2.data.description import IMAGES, LABELS, DataDescription, label_path
from yolov2.data.images.probe import ImageProbe, SampleProbe, probe_sample
from yolov2.data.labels.files import BadLine, parse_labels

Progress = Callable[[int, int], None]
"""Called with the number of images read and of all images."""


@dataclass(frozen=True, kw_only=True)
class RawTables:
    """Images, boxes and bad lines as they stand in the files.

    ``images``, one row an image, in the order of the label table: ``split``, ``image`` (path
    relative to the data root), ``label_file``, ``status`` (ok, missing, unreadable), ``reason``,
    ``width``, ``height`` (pixels; 0 unless ok), ``md5``.
    ``boxes``, one row a well-formed line: ``row`` (of ``images``), ``line``, ``class_id``, ``cx``,
    ``cy``, ``w``, ``h`` as written, and what follows from them: the edges ``left``, ``top``,
    ``right``, ``bottom``, and ``canvas_w``, ``canvas_h``, width and height as shares of the image's
    longer side (as written where the image is not ok).
    ``bad_lines``: row of ``images``, and what is wrong. ``notes``: what a person should know.
    """

    class_names: tuple[str, ...]
    images: pd.DataFrame
    boxes: pd.DataFrame
    bad_lines: tuple[tuple[int, BadLine], ...]
    notes: tuple[str, ...] = ()


def read_raw_tables(description: DataDescription, progress: Progress | None = None) -> RawTables:
    """Read every image and label file of ``description``.

    Raises:
        ValueError: label files would lie outside the data root, a split has none at all, or one
            belongs to two images.
    """
    images = [path for paths in description.images.values() for path in paths]
    labels = [label_path(image) for image in images]
    table = pd.DataFrame(
        {
            "split": [split for split, paths in description.images.items() for _ in paths],
            "image": _relative(images, description),
            "label_file": _relative(labels, description),
        }
    )
    probes: list[ImageProbe] = []
    found: list[bool] = []
    blocks: list[NDArray[np.float64]] = []
    bad_lines: list[tuple[int, BadLine]] = []
    for row, sample in enumerate(_probe(images, labels)):
        rows, bad = parse_labels(sample.label or b"")
        if sample.label_error:
            bad = [_unreadable(sample.label_error)]
        probes.append(sample.image)
        found.append(sample.label is not None or bool(bad))
        blocks.append(rows)
        bad_lines += [(row, line) for line in bad]
        if progress is not None:
            progress(row + 1, len(images))
    _refuse_unlabelled(table, found, description)
    _refuse_shared_labels(table[found], description)
    images_table = pd.concat([table, _image_columns(probes)], axis=1)
    return RawTables(
        class_names=description.class_names,
        images=images_table,
        boxes=_box_table(blocks, images_table[["width", "height"]].to_numpy()),
        bad_lines=tuple(bad_lines),
        notes=(*description.notes, *_notes(table["image"], probes)),
    )


def _notes(images: Iterable[str], probes: Iterable[ImageProbe]) -> Iterator[str]:
    for image, probe in zip(images, probes, strict=True):
        if probe.note:
            yield f"{image}: {probe.note}"


def _probe(images: Sequence[Path], labels: Sequence[Path]) -> Iterator[SampleProbe]:
    # threads: Pillow and hashlib let others run while they work
    with ThreadPoolExecutor() as pool, warnings.catch_warnings():
        # Pillow warns of what it can read nevertheless; what it cannot becomes a problem
        warnings.simplefilter("ignore")
        samples = [pool.submit(probe_sample, *pair) for pair in zip(images, labels, strict=True)]
        try:
            for sample in samples:
                yield sample.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _relative(paths: Sequence[Path], description: DataDescription) -> list[str]:
    prefix = str(description.root) + os.sep
    for path in paths:
        if not str(path).startswith(prefix):
            raise ValueError(
                f"{description.file}: the label file '{path}' would lie outside the data root"
                f" {description.root}: let path name the folder that holds images/ and labels/"
            )
    return [Path(str(path)[len(prefix) :]).as_posix() for path in paths]


def _refuse_unlabelled(
    table: pd.DataFrame, found: Sequence[bool], description: DataDescription
) -> None:
    labelled = set(table.loc[np.array(found, dtype=bool), "split"])
    for split in description.images:
        if split not in labelled:
            first = table[table["split"] == split].iloc[0]
            advice = _capitals(description.root, Path(first["image"]), Path(first["label_file"]))
            raise ValueError(
                f"{description.file}: {split}: none of its {len(description.images[split])} images"
                f" has a label file; the first would be '{first['label_file']}' in"
                f" {description.root}: {advice or f'put the labels there, or take {split} out'}"
            )


def _capitals(root: Path, image: Path, label: Path) -> str:
    """What to do if ``images`` or ``labels`` is written with capitals; else nothing.

    ``image`` and ``label``, where its labels would be, are seen from ``root``.
    """
    parts = label.parts[:-1] if LABELS in label.parts[:-1] else image.parts[:-1]
    wanted = [index for index, part in enumerate(parts) if part.lower() in (IMAGES, LABELS)]
    if not wanted:
        return ""
    folder = root.joinpath(*parts[: wanted[-1]])
    if not folder.is_dir():
        return ""
    odd = {
        path.name.lower(): path.name
        for path in sorted(folder.iterdir())
        if path.name.lower() in (IMAGES, LABELS) and path.name not in (IMAGES, LABELS)
    }
    texts = [f"'{name}' is not '{right}': rename it" for right, name in odd.items()]
    if len(odd) == 2:
        texts = [f"{texts[0]}, and '{odd[LABELS]}' to '{LABELS}'"]
    return f"{texts[0]} (capitals count)" if texts else ""


def _refuse_shared_labels(labelled: pd.DataFrame, description: DataDescription) -> None:
    """``a.jpg`` and ``a.png`` would both have the boxes of ``a.txt``, which are of one of them."""
    again = labelled[labelled.duplicated("label_file")]
    if again.empty:
        return
    second = again.iloc[0]
    first = labelled[labelled["label_file"] == second["label_file"]].iloc[0]
    more = f", and {len(again) - 1} more images with others" if len(again) > 1 else ""
    raise ValueError(
        f"{description.file}: '{first['image']}' and '{second['image']}' share the label file"
        f" '{second['label_file']}'{more}: rename one, with a label file of its own, or remove it"
    )


def _unreadable(reason: str) -> BadLine:
    return BadLine(
        line=None, value=reason, message="label file cannot be read", advice="restore the file"
    )


def _image_columns(probes: Sequence[ImageProbe]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "status": [probe.status for probe in probes],
            "reason": [probe.reason for probe in probes],
            "width": np.array([probe.width for probe in probes], dtype=np.int32),
            "height": np.array([probe.height for probe in probes], dtype=np.int32),
            "md5": [probe.md5 for probe in probes],
        }
    )


def _box_table(blocks: Sequence[NDArray[np.float64]], sizes: NDArray[np.int32]) -> pd.DataFrame:
    """One frame of the rows (N, 6) line, class, cx, cy, w, h of each image in turn.

    ``sizes`` (I, 2) are the images' widths and heights in pixels, 0 where they are not known.
    """
    row = np.repeat(np.arange(len(blocks)), [len(block) for block in blocks])
    known = np.maximum(sizes, 1)
    across, down = (known / known.max(axis=1, keepdims=True))[row].T  # each (N,)
    line, class_id, cx, cy, w, h = np.concatenate(blocks).T  # each (N,)
    centre, half = np.array([cx, cy]), np.abs([w, h]) / 2  # (2, N)
    with np.errstate(over="ignore"):  # a box as large as the numbers go is outside all the same
        (left, top), (right, bottom) = centre - half, centre + half  # each (N,)
    return pd.DataFrame(
        {
            "row": row,
            "line": line.astype(np.int32),
            "class_id": class_id.astype(np.int32),
            "cx": cx,
            "cy": cy,
            "w": w,
            "h": h,
            "left": left,
            "top": top,
            "right": right,
            "bottom": bottom,
            "canvas_w": w * across,
            "canvas_h": h * down,
        }
    )
