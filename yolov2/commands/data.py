"""Reading a data set for a subcommand: its label table after the policies, problems reported."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from yolov2.commands.options import section_from
from yolov2.commands.progress import announce, counter
from yolov2.config.data import ValidateConfig, policies_of
from yolov2.data.description import read_description
from yolov2.data.labels.checks import judge
from yolov2.data.labels.problems import Problem, count_kinds, errors, format_notes, format_problems
from yolov2.data.labels.raw_tables import read_raw_tables
from yolov2.data.table import LabelTables


@dataclass(frozen=True, kw_only=True)
class Data:
    """A data set as a subcommand works on it, and what was found in it.

    ``problems`` are all whose policy is not ``ignore``; ``notes`` are what a person should know.
    """

    tables: LabelTables
    root: Path
    problems: list[Problem]
    notes: tuple[str, ...]


def read_data(args: argparse.Namespace) -> Data:
    """The data set that ``add_data``'s options name, whatever problems it has.

    Raises:
        ValueError: the description is wrong.
    """
    description = read_description(Path(args.data))
    config = section_from(args, ValidateConfig)
    with counter(desc="reading", unit="image") as progress:
        raw = read_raw_tables(description, progress)
    tables, problems = judge(raw, config)
    return Data(tables=tables, root=description.root, problems=problems, notes=raw.notes)


def load_data(args: argparse.Namespace) -> Data:
    """The data set, fit to work with; what was warned of or dropped is counted on stderr.

    Raises:
        ValueError: the description is wrong, or there are problems of the policy ``error``.
    """
    data = read_data(args)
    stopping = errors(data.problems)
    if stopping:
        raise ValueError(f"the data has mistakes:\n{format_problems(stopping)}\n{advice(stopping)}")
    for line in [*format_notes(data.notes), *counted(data.problems)]:
        announce(line)
    return data


def advice(problems: Sequence[Problem]) -> str:
    """How to go on in spite of ``problems``."""
    options = " ".join(
        f"--{kind.replace('_', '-')} {'clip' if 'clip' in policies_of(kind) else 'drop'}"
        for kind in count_kinds(problems)
    )
    return f"Correct them, or decide what is to be done, for example: {options}"


def counted(problems: Sequence[Problem]) -> list[str]:
    """A line for each policy and kind of problem."""
    lines = []
    for policy in ("error", "drop", "clip", "warn"):
        some = [problem for problem in problems if problem.policy == policy]
        lines += [f"{count} {kind}: {policy}" for kind, count in count_kinds(some).items()]
    return lines
