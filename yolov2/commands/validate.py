"""``yolov2 validate``."""

import argparse

from yolov2.commands.options import add_data

SUMMARY = "check images and labels of a data set"
DESCRIPTION = """\
The checks that the pipeline makes before training, with the same policies, one for each kind
of mistake (below). Each mistake is a line: file:line, value, what is wrong, what to do.
"""
EXAMPLE = """\
example:
  yolov2 validate --data my/data.yaml
  yolov2 validate --data my/data.yaml --zero-size drop      train without boxes of no area

The exit status is 1 if a mistake of the policy `error` was found.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``yolov2 validate``."""
    add_data(parser)


def run(args: argparse.Namespace) -> int:
    """Print the problems and what the data set consists of; 1 if there are errors."""
    from yolov2.commands.data import advice, counted, read_data
    from yolov2.data.labels.problems import errors, format_notes, format_problems

    data = read_data(args)
    if data.problems:
        print(format_problems(data.problems))
        print("\n".join(counted(data.problems)))
    for line in format_notes(data.notes):
        print(line)
    images, labels = data.tables.images, data.tables.labels
    for split in images["split"].unique():
        boxes = int((labels["split"] == split).sum())
        print(f"{split}: {int((images['split'] == split).sum())} images, {boxes} boxes")
    if "train" not in data.tables.splits:
        print("note: no train split: good to be measured on, not to be trained on")
    stopping = errors(data.problems)
    print(advice(stopping) if stopping else "no mistakes that stop")
    return 1 if stopping else 0
