"""The preset ``own``: sizes and epochs chosen from a data set, the machine, and the time there is.

The recipe itself is ``presets.OWN``. What is chosen here is what a person would look at first:
how large the smallest boxes are, how many images there are, and whether there is a card.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from pipeline.params.presets import OWN
from pipeline.params.schema import Params
from pipeline.params.timing import Timing, in_words
from yolov2.config.data import KINDS, ValidateConfig
from yolov2.config.model import STRIDE, ModelConfig
from yolov2.config.section import require
from yolov2.config.train import TrainConfig
from yolov2.data.description import DataDescription
from yolov2.data.labels.checks import load_tables
from yolov2.data.labels.problems import count_kinds
from yolov2.data.labels.raw_tables import Progress
from yolov2.data.table import LabelTables

LOOKED_AT = 2000
"""Images of a split that are read to choose by: evenly spread, so that it takes seconds."""
SMALL_BOXES = 0.05
"""The share of the boxes that may be smaller than a cell."""
LARGEST_SIDE = {"cpu": 416, "cuda": 640}
SMALLEST_SIDE = 256
"""Bounds of the input's side in pixels; images that are smaller still are not enlarged."""
MANY_IMAGES = 2000
"""From here on a batch of 16, and on a card the full width."""
VIEWS = 16_400
"""Training images times epochs: what the table of blood cells was measured with."""
EPOCHS = (60, 300)
"""The fewest and the most epochs that are chosen without a limit of time."""
SHRINK = (1.0, 0.8, 0.65, 0.5)
"""Shares of the chosen side that are tried where the time does not suffice."""
MOST_WORKERS = 8


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A data set as the choice sees it.

    ``images`` counts all images by split; ``tables`` holds at most ``LOOKED_AT`` of each, with
    the usable labels, and ``mistakes`` the others by kind.
    """

    images: dict[str, int]
    tables: LabelTables
    mistakes: dict[str, int]


def look_at(description: DataDescription, progress: Progress | None = None) -> Sample:
    """Read a part of the data set, evenly spread.

    Raises:
        ValueError: there is nothing to train or to validate on, or the labels are not found.
    """
    for split, use in (("train", "to learn from"), ("val", "to choose the checkpoint by")):
        require(
            split in description.images,
            f"{description.file}: no {split} split, which a training needs {use}: name a folder of"
            f" images under '{split}:' (a tenth of them is enough to validate on)",
        )
    few = {
        split: tuple(paths[i] for i in _spread(len(paths)))
        for split, paths in description.images.items()
    }
    lenient = ValidateConfig(**dict.fromkeys(KINDS, "drop"))  # type: ignore[arg-type]
    tables, problems = load_tables(replace(description, images=few), lenient, progress)
    return Sample(
        images={split: len(paths) for split, paths in description.images.items()},
        tables=tables,
        mistakes={kind: count for kind, count in count_kinds(problems).items()},
    )


def _spread(count: int) -> list[int]:
    number = min(count, LOOKED_AT)
    return [i * count // number for i in range(number)]


def choose(sample: Sample, device: str) -> Params:
    """The preset ``own`` for a data set on a ``device`` of this type (``cpu``, ``cuda``).

    Raises:
        ValueError: no training image has a box.
    """
    images, on_card = sample.images["train"], device == "cuda"
    width = OWN.model.width if not on_card else 0.5 if images < MANY_IMAGES else 1.0
    train = replace(OWN.train, batch_size=8 if images < MANY_IMAGES else 16)
    # on a CPU the network needs every core
    workers = min(MOST_WORKERS, len(os.sched_getaffinity(0)) - 1) if on_card else 0
    epochs = int(np.clip(round(VIEWS / images, -1), *EPOCHS))
    side = input_side(sample.tables, LARGEST_SIDE["cuda" if on_card else "cpu"])
    return replace(
        OWN,
        model=ModelConfig(image_size=side, width=width),
        train=with_epochs(train, epochs),
        machine=replace(OWN.machine, num_workers=workers),
    )


def input_side(tables: LabelTables, largest: int) -> int:
    """The side at which a cell is no larger than nearly all boxes, within what makes sense."""
    labels = tables.labels[tables.labels["split"] == "train"]
    require(
        len(labels) > 0,
        "no training image has a box: look at the label files (`yolov2 validate --data ...`)",
    )
    sides = np.sqrt(labels["pixel_width"] * labels["pixel_height"])
    shares = sides / labels[["image_width", "image_height"]].max(axis=1)
    small = float(np.quantile(shares, SMALL_BOXES))
    wanted = STRIDE / max(small, STRIDE / largest)
    images = tables.images[tables.images["split"] == "train"]
    native = float(images[["width", "height"]].max(axis=1).median())
    most = min(largest, _cells(native))
    return max(2 * STRIDE, min(most, max(_cells(wanted), SMALLEST_SIDE)))


def _cells(side: float) -> int:
    """The next multiple of the cells' size."""
    return int(-(-side // STRIDE)) * STRIDE


def with_epochs(train: TrainConfig, epochs: int) -> TrainConfig:
    """The recipe over so many epochs: what is counted in epochs keeps its share of them."""
    whole = OWN.train
    share = epochs / whole.epochs
    off = round(whole.augment.mosaic_off_epochs * share)
    return replace(
        train,
        epochs=epochs,
        warmup_epochs=min(whole.warmup_epochs, round(whole.warmup_epochs * share, 3)),
        validate_every=max(1, min(whole.validate_every, round(whole.validate_every * share))),
        augment=replace(train.augment, mosaic_off_epochs=min(whole.augment.mosaic_off_epochs, off)),
    )


def fit(
    params: Params, sample: Sample, hours: float, measure: Callable[[Params], Timing]
) -> tuple[Params, Timing]:
    """The best of what ends within ``hours``, and how fast it is.

    Up to twice the epochs of ``params`` at its size; else at least half of them at the largest
    side at which they fit, then at half the width; else as many epochs as there is time for.

    Raises:
        ValueError: not even one epoch fits.
    """
    first = timing = measure(params)
    enough = params.train.epochs / 2
    for candidate in chain([params], _smaller(params)):
        if candidate is not params:
            guess = first.times(_work(candidate) / _work(params))
            if _epochs(candidate, sample, guess, hours) < enough:
                continue
            timing = measure(candidate)
        epochs = _epochs(candidate, sample, timing, hours)
        if epochs >= enough:
            return _lasting(candidate, epochs), timing
    *_, last = _smaller(params)
    timing = measure(last)
    epochs = _epochs(last, sample, timing, hours)
    if epochs < 1:
        one = timing.total(with_epochs(last.train, 1), sample.images)
        raise ValueError(
            f"--hours {hours:g}: one epoch alone, at {last.model.image_size} px and width"
            f" {last.model.width:g}, takes about {in_words(one)} here: allow more time, or train on"
            " a CUDA machine"
        )
    return _lasting(last, epochs), timing


def _smaller(params: Params) -> Iterator[Params]:
    """Faster settings than ``params``, in the order in which they are tried."""
    side, width = params.model.image_size, params.model.width
    for factor in (1.0, 0.5):
        last = 0
        for share in SHRINK:
            chosen = max(2 * STRIDE, int(share * side) // STRIDE * STRIDE)
            if chosen != last and (chosen, factor) != (side, 1.0):
                yield replace(params, model=ModelConfig(image_size=chosen, width=width * factor))
            last = chosen


def _work(params: Params) -> float:
    """What a step costs at least, in some unit: pixels times channels."""
    return float(params.model.image_size**2 * params.model.width)


def _epochs(params: Params, sample: Sample, timing: Timing, hours: float) -> int:
    """How many epochs end in time, at most twice those of ``params``."""
    for epochs in range(2 * params.train.epochs, 0, -1):
        train = with_epochs(params.train, epochs)
        if timing.total(train, sample.images) <= 3600 * hours:
            return epochs
    return 0


def _lasting(params: Params, epochs: int) -> Params:
    return replace(params, train=with_epochs(params.train, epochs))


def with_memory(params: Params, timing: Timing) -> Params:
    """Fewer images at a time where a step's do not fit into memory; the step stays the same."""
    if timing.batch_size >= timing.images:
        return params
    train = replace(params.train, batch_size=timing.batch_size, nominal_batch=timing.images)
    return replace(params, train=train)


def tell(params: Params, sample: Sample, timing: Timing | None) -> list[str]:
    """What a person should know of the choice: how long it takes, and what is in the way."""
    lines = []
    if timing is not None:
        whole = timing.total(params.train, sample.images)
        lines.append(
            f"training takes about {in_words(whole)} on {timing.machine}, as busy as it is now:"
            f" {timing.step:.2g} s a step of {timing.images} images,"
            f" {timing.validated_image:.2g} s an image to validate"
        )
    if params.train.epochs < EPOCHS[0] / 2:
        lines.append(f"{params.train.epochs} epochs are few: expect little of them")
    if sample.mistakes:
        kinds = ", ".join(f"{number} {kind}" for kind, number in sample.mistakes.items())
        lines.append(
            f"the data has mistakes ({kinds}): the stage validate lists them and stops, unless the"
            " section validate says otherwise"
        )
    return lines
