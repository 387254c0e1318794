"""What the subcommands' options share: defaults and types come from ``yolov2.config.model``."""

import argparse
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from yolov2.config.data import DataConfig, EdgePolicy, Policy, ValidateConfig
from yolov2.config.section import Section

SectionType = TypeVar("SectionType", bound=Section)


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows the defaults; leaves the lines of descriptions and examples as they are."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if isinstance(action.default, list):
            return f"{action.help} (default: {' '.join(map(str, action.default))})"
        quiet = action.default is None or action.default is False
        return action.help if quiet else super()._get_help_string(action)


def add_section(
    options: argparse._ActionsContainer,
    section: type[Section],
    helps: Mapping[str, str],
    *,
    prefix: str = "",
) -> None:
    """An option for each field of ``section`` named in ``helps``, with the field's default.

    ``lr_steps`` becomes ``--lr-steps``, ``prefix`` comes before; a field that is a tuple takes
    several values, one that is a ``Literal`` one of its words, a yes-or-no field a flag and its
    ``--no-`` form. A field that may be ``None`` is so where the option is not given.
    """
    defaults, hints = vars(section()), get_type_hints(section)
    for name, text in helps.items():
        option, default = "--" + (prefix + name).replace("_", "-"), defaults[name]
        if isinstance(default, bool):
            action = argparse.BooleanOptionalAction
            options.add_argument(option, action=action, default=default, help=text)
            continue
        several = isinstance(default, tuple)
        words = get_args(hints[name]) if get_origin(hints[name]) is Literal else None
        options.add_argument(
            option,
            type=_reader(hints[name], default[0] if several else default),
            nargs="+" if several else None,
            default=list(default) if several else default,
            choices=words,
            metavar=_metavar(hints[name], default[0] if several else default),
            help=text,
        )


def _reader(hint: object, default: object) -> Callable[[str], Any]:
    """What turns an option's text into its value: a type, or a number unless it is a word."""
    if (given := _given(hint)) is not None:
        return given
    words = [word for part in get_args(hint) for word in get_args(part)]
    if get_origin(hint) is not Union or not words:
        return type(default)

    number = int if isinstance(default, int) else float

    def read(text: str) -> Any:
        return text if text in words else number(text)

    read.__name__ = f"{number.__name__} or {' or '.join(words)}"  # for argparse's errors
    return read


def section_from(
    args: argparse.Namespace, section: type[SectionType], *, prefix: str = "", **given: Any
) -> SectionType:
    """``section`` with what the command line says about its fields, and with ``given``.

    Raises:
        ValueError: a value that ``section`` refuses.
    """
    build: Callable[..., SectionType] = section
    told = vars(args)
    values = {
        name: tuple(value) if isinstance(value, list) else value
        for name in vars(section())
        if (value := told.get(prefix + name)) is not None
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
        "row out and count it; ignore: take it as it is. Of boxes that stick out of the image\n"
        "also clip: cut them at the edge and count them.",
    )
    kinds = {
        name: name.replace("_", " ")
        for name, hint in get_type_hints(ValidateConfig).items()
        if hint in (Policy, EdgePolicy)
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
    if hint in (Policy, EdgePolicy):
        return "POLICY"
    return {int: "N", float: "X"}.get(_given(hint) or type(value))


def _given(hint: object) -> type | None:
    """The type of a value that may be ``None`` as well; ``None`` for any other hint."""
    parts = get_args(hint)
    return next(part for part in parts if part is not NoneType) if NoneType in parts else None
