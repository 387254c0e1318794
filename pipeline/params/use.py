"""What ``pipeline params`` does: a preset written into ``params.yaml``, old keys moved."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from pipeline.labels import check_train, without
from pipeline.params.presets import DEMO, FULL, render
from pipeline.params.schema import Params, load
from pipeline.paths import PARAMS
from yolov2.config.data import DataConfig
from yolov2.config.section import require, require_between
from yolov2.data.description import DataDescription, read_description, root_seen_from
from yolov2.data.labels.problems import format_notes
from yolov2.evaluation.optimism import caution
from yolov2.files import write_text

KEPT = ("validate", "tracking", "promote", "flows", "schedule")
"""Sections that a recipe does not decide: what a person has set there stays."""


def use_preset(
    preset: str, data: Path | None, *, hours: float | None = None, timed: bool = True
) -> None:
    """Write preset ``own``, ``full`` or ``demo`` into ``params.yaml``, for ``data`` if given.

    ``own`` is sized by the data and the machine, ``timed`` on it, and made to end in ``hours``.

    Raises:
        ValueError: ``own`` or ``full`` without a data set, a description or data that cannot be
            read, or nothing that fits into the time or the memory.
    """
    require(
        preset == "own" or (hours is None and timed),
        "--hours and --no-timing are for the preset own",
    )
    require(timed or hours is None, "--hours needs the timing: leave --no-timing out")
    if preset != "demo" and data is None:
        raise ValueError(f"preset {preset} is for an own data set: name it with --data PATH.yaml")
    params = FULL if preset == "full" else DEMO
    notes: list[str] = []
    said: list[str] = []
    if data is not None:
        description = read_description(data)
        check_train(description)
        if preset == "own":
            params, said = _fitting(description, hours, timed=timed)
        section = DataConfig(config=data.as_posix(), root=root_seen_from(description))
        params = replace(params, data=section)
        if "test" not in description.images:
            params = replace(params, evaluate=replace(params.evaluate, split="val"))
        notes += description.notes
        if params.evaluate.split not in description.images:
            notes.append(without(params.evaluate.split, description.images))
    params, kept = _with_kept(params)
    if PARAMS.exists():
        PARAMS.replace(PARAMS.with_suffix(".yaml.bak"))
    write_text(PARAMS, render(preset, params))
    for line in format_notes(notes):
        print(line)
    report(preset, params)
    print(*said, *kept, sep="\n", end="\n" if said or kept else "")
    print("next: dvc repro (or dvc exp run -n NAME)")


def _with_kept(params: Params) -> tuple[Params, list[str]]:
    """With the sections of the present file that are no preset's, and what to tell of it."""
    if not PARAMS.exists():
        return params, []
    try:
        present = vars(load())
    except ValueError as error:
        return params, [f"{error}: nothing of the old file is kept"]
    presets = (vars(DEMO), vars(FULL))
    own = [name for name in KEPT if all(present[name] != preset[name] for preset in presets)]
    if not own:
        return params, []
    kept = replace(params, **{name: present[name] for name in own})
    return kept, [f"kept as you have set them: {', '.join(own)}"]


def _fitting(
    description: DataDescription, hours: float | None, *, timed: bool
) -> tuple[Params, list[str]]:
    """The preset ``own`` for a data set, and what to tell of it."""
    # late: --help answers before torch is loaded
    from pipeline.params import own, timing
    from yolov2.network.device import resolve_device

    if hours is not None:
        require_between("--hours", hours, 0.001, 10_000)
    with tqdm(disable=None, leave=False, unit="image", desc="reading") as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        sample = own.look_at(description, progress)
    params = own.choose(sample, resolve_device("auto").type)
    measured = None
    if timed:
        print("timing real training steps of this data set, about half a minute", flush=True)
        measure = partial(timing.measure, tables=sample.tables, root=description.root)
        if hours is None:
            measured = measure(params)
        else:
            params, measured = own.fit(params, sample, hours, measure)
        params = own.with_memory(params, measured)
    return params, own.tell(params, sample, measured)


def report(preset: str, params: Params) -> None:
    """Say what was written."""
    model, train = params.model, params.train
    print(
        f"{PARAMS}: preset {preset}, data {params.data.config}, {model.image_size} px, width"
        f" {model.width:g}, {train.epochs} epochs of batch {train.batch_size}, scored on"
        f" {params.evaluate.split}"
    )
    if caution(params.evaluate.split):
        print(f"its figures are {caution(params.evaluate.split)}: add a test split if you can")
    if preset == "full":
        print(
            "the published recipe, for a large data set and days on a card: from own images and"
            " random weights the preset own learns more in the same time"
        )
