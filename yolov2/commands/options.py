"""What the subcommands' options share: defaults and types come from ``yolov2.config``."""

import argparse
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from yolov2.config import DataConfig, Policy, ValidateConfig
from yolov2.section import Section

SectionType = TypeVar("SectionType", bound=Section)


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows the defaults; leaves the lines of descriptions and examples as they are."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if isinstance(action.default, list):
            return f"{action.help} (default: {' '.join(map(str, action.default))})"
        quiet = action.default is None or action.default is False
        return action.help if quiet else super()._get_help_string(action)


def add_section(
    options: argparse._ActionsContainer, section: type[Section], helps: Mapping[str, str]
) -> None:
    """An option for each field of ``section`` named in ``helps``, with the field's default.

    ``lr_steps`` becomes ``--lr-steps``; a field that is a tuple takes several values, one that
    is a ``Literal`` one of its words.
    """
    defaults, hints = vars(section()), get_type_hints(section)
    for name, text in helps.items():
        default = defaults[name]
        several = isinstance(default, tuple)
        words = get_args(hints[name]) if get_origin(hints[name]) is Literal else None
        options.add_argument(
            "--" + name.replace("_", "-"),
            type=type(default[0]) if several else type(default),
            nargs="+" if several else None,
            default=list(default) if several else default,
            choices=words,
            metavar=_metavar(hints[name], default[0] if several else default),
            help=text,
        )


def section_from(args: argparse.Namespace, section: type[SectionType], **given: Any) -> SectionType:
    """``section`` with what the command line says about its fields, and with ``given``.

    Raises:
        ValueError: a value that ``section`` refuses.
    """
    build: Callable[..., SectionType] = section
    values = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(args).items()
        if name in vars(section())
    }
    return build(**(values | given))


def add_data(parser: argparse.ArgumentParser) -> None:
    """``--data`` and what to do about each kind of mistake in the labels."""
    parser.add_argument(
        "--data",
        default=DataConfig().config,
        metavar="FILE",
        help="description of the data set in the Ultralytics form (a .yaml: path, train, val,"
        " test, names)",
    )
    group = parser.add_argument_group(
        "mistakes in the data",
        "A POLICY is one of error: report all and stop; warn: report and go on; drop: leave the\n"
        "row out and count it; ignore: take it as it is.",
    )
    kinds = {
        name: name.replace("_", " ")
        for name, hint in get_type_hints(ValidateConfig).items()
        if hint == Policy
    }
    add_section(group, ValidateConfig, kinds)
    add_section(group, ValidateConfig, {"edge_tolerance": "how far a coordinate may leave [0, 1]"})


def add_device(options: argparse._ActionsContainer) -> None:
    """``--device``."""
    options.add_argument(
        "--device",
        default="auto",
        help="cpu, cuda, cuda:1, ...; auto takes a CUDA card if there is one",
    )


def _metavar(hint: object, value: object) -> str | None:
    if hint == Policy:
        return "POLICY"
    return {int: "N", float: "X"}.get(type(value))
