"""``python -m pipeline.params``: write a preset into ``params.yaml``, or check what is there."""

import argparse
from dataclasses import replace
from pathlib import Path

from pipeline.params.presets import DEMO, FULL, render
from pipeline.params.schema import Params, load
from pipeline.paths import PARAMS
from pipeline.splits import check_train, without
from pipeline.stage import run_stage
from yolov2.config import DataConfig
from yolov2.data.description import read_description, root_seen_from
from yolov2.data.problems import format_notes
from yolov2.run_folder import write_text


def main() -> None:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.params",
        description="Write a preset into params.yaml, or check the file that is there.",
        epilog="example: python -m pipeline.params use full --data ../blood/data.yaml",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    use = commands.add_parser(
        "use",
        help="write a preset (the old file is kept as params.yaml.bak)",
        description="Write a preset into params.yaml; the old file is kept as params.yaml.bak.",
    )
    use.add_argument(
        "preset",
        choices=("full", "demo"),
        help="full: the published recipe for an own data set; demo: the embedded digits",
    )
    use.add_argument("--data", type=Path, help="description of the data set (Ultralytics form)")
    commands.add_parser("check", help="read params.yaml and say what is wrong, if anything")
    arguments = parser.parse_args()
    if arguments.command == "check":
        load()
        print(f"{PARAMS} is right")
    else:
        use_preset(arguments.preset, arguments.data)


def use_preset(preset: str, data: Path | None) -> None:
    """Write preset ``full`` or ``demo`` into ``params.yaml``, for the data set ``data`` if given.

    Raises:
        ValueError: ``full`` without a data set, or a description that cannot be read.
    """
    if preset == "full" and data is None:
        raise ValueError("preset full is for an own data set: name it with --data PATH.yaml")
    params = FULL if preset == "full" else DEMO
    notes: list[str] = []
    if data is not None:
        description = read_description(data)
        check_train(description)
        section = DataConfig(config=data.as_posix(), root=root_seen_from(description))
        params = replace(params, data=section)
        if "test" not in description.images:
            params = replace(params, evaluate=replace(params.evaluate, split="val"))
        notes += description.notes
        if params.evaluate.split not in description.images:
            notes.append(without(params.evaluate.split, description.images))
    if PARAMS.exists():
        PARAMS.replace(PARAMS.with_suffix(".yaml.bak"))
    write_text(PARAMS, render(preset, params))
    for line in format_notes(notes):
        print(line)
    report(preset, params)


def report(preset: str, params: Params) -> None:
    """Say what was written and what to type next."""
    model, train = params.model, params.train
    print(
        f"{PARAMS}: preset {preset}, data {params.data.config}, {model.image_size} px, width"
        f" {model.width:g}, {train.epochs} epochs of batch {train.batch_size}, scored on"
        f" {params.evaluate.split}"
    )
    print("next: dvc repro (or dvc exp run -n NAME)")


if __name__ == "__main__":
    run_stage(main)
