"""The reference pages, from the code itself: ``python -m docs.reference [--write]``.

``docs/commands.md`` is what ``--help`` of every command says, ``docs/parameters.md`` what the
dataclasses behind ``params.yaml`` do. Without ``--write`` it only says which page is out of date,
with exit status 1. Help is laid out as Python 3.11 does it; later ones lay it out otherwise.
"""

import argparse
import importlib
import inspect
import os
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pipeline.cli
import yolov2.cli
from pipeline.params.presets import DEMO, FULL, OWN
from pipeline.params.schema import Params
from yolov2.config.data import ValidateConfig
from yolov2.data.labels.rules import RULES

DOCS = Path(__file__).resolve().parent
COLUMNS = "96"
FLOWS = ("retraining", "training", "promotion", "sweep", "schedule", "left_behind", "sensor")
NOTE = "<!-- Written by `python -m docs.reference --write` from the code; do not edit. -->\n"

COMMANDS_HEAD = f"""\
# Commands

{NOTE}
People type `pipeline COMMAND` (or `python -m pipeline COMMAND`) for the production line and
`yolov2 COMMAND` for the detector alone. The flows need Prefect and are started as modules. Every
`--help` answers without changing anything. Where `pipeline` ends with a status other than 0:

| exit status | meaning |
|---|---|
| 1 | it could not be done; one line says why |
| 2 | a command line that makes no sense |
| 3 | an answer that is a no; the command's text says which |
| 130, 143 | interrupted (Ctrl-C), terminated (SIGTERM) |

`yolov2` ends with 1 when it is done but something was wrong with its input, and with 2 when it
could not be done. The stages of `dvc.yaml` (`python -m pipeline.train` and so on) are DVC's to
start; they take no arguments.
"""
PARAMETERS_HEAD = f"""\
# Parameters

{NOTE}
`params.yaml` holds every number that a person may want to change, a section per concern. Every key
is checked where it is read: a mistake is one line that names file, line and value, and
`pipeline params check` looks without running anything. A section or key that is left out has the
value in the column `full`.

The presets: `full` is the published recipe, `own` the one for own images
(`pipeline params use own` chooses side, width and epochs by the data and the machine; the table has
those it was measured with), `demo` the embedded digits. A cell of `own` or `demo` that is empty has
the value of `full`.

What changes a section makes stale: every section but `machine`, `tracking`, `promote`, `flows` and
`schedule` is read by a stage of `dvc.yaml`, which names it there.
"""


def commands_page() -> str:
    """The text of ``docs/commands.md``."""
    parts = [COMMANDS_HEAD]
    for program, parser in (
        ("pipeline", pipeline.cli.build_parser()),
        ("yolov2", yolov2.cli.build_parser()),
    ):
        parts.append(f"## {program}\n\n{_help(parser)}")
        parts += [_command(program, name, each) for name, each in subcommands(parser).items()]
    parts.append(
        "## Flows\n\nUnder [Prefect](prefect.md); without a server they start their own.\n"
    )
    for name in FLOWS:
        module = f"flows.{name}"
        parts.append(f"### python -m {module}\n\n{_help(flow_parser(module))}")
    return "\n".join(parts)


def parameters_page() -> str:
    """The text of ``docs/parameters.md``."""
    parts = [PARAMETERS_HEAD]
    for one in fields(Params):
        parts += list(_section(one.name, FULL.__dict__[one.name], _presets(one.name)))
    return "\n".join(parts)


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers below ``parser`` by name; none where it has no commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def flow_parser(module: str) -> argparse.ArgumentParser:
    """The options of ``python -m MODULE``, one of the flows; imports Prefect."""
    parser = importlib.import_module(module).build_parser()
    assert isinstance(parser, argparse.ArgumentParser)
    return parser


def _command(program: str, name: str, parser: argparse.ArgumentParser) -> str:
    text = f"### {program} {name}\n\n{_help(parser)}"
    for below, each in subcommands(parser).items():
        text += f"\n#### {program} {name} {below}\n\n{_help(each)}"
    return text


def _help(parser: argparse.ArgumentParser) -> str:
    return f"```text\n{parser.format_help().rstrip()}\n```\n"


def _presets(name: str) -> tuple[Any, Any]:
    return OWN.__dict__[name], DEMO.__dict__[name]


def _section(name: str, full: Any, others: tuple[Any, ...]) -> Iterator[str]:
    """Heading, prose and table of a section, then those of the sections inside it."""
    rows, inner = [], []
    hints = get_type_hints(type(full))
    for one in fields(full):
        value = full.__dict__[one.name]
        beside = tuple(other.__dict__[one.name] for other in others)
        if is_dataclass(value):
            inner.append((f"{name}.{one.name}", value, beside))
            continue
        cells = [_value(value), *("" if each == value else _value(each) for each in beside)]
        rows.append(f"| `{name}.{one.name}` | {_kind(hints[one.name])} | {' | '.join(cells)} |")
    yield f"## {name}\n\n{_prose(type(full))}\n"
    if rows:
        yield "\n".join(["| key | value | full | own | demo |", "|---|---|---|---|---|", *rows, ""])
    if isinstance(full, ValidateConfig):
        yield _mistakes()
    for each in inner:
        yield from _section(*each)


def _mistakes() -> str:
    """What each kind of mistake in the labels is."""
    rows = [
        f"| `{rule.kind}` | {rule.meaning} | {'always' if rule.useless else 'with `drop`'} |"
        for rule in RULES
    ]
    return "\n".join(["| kind | it is a mistake if | left out |", "|---|---|---|", *rows, ""])


def _prose(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "").replace("``", "`")


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"`[{', '.join(_plain(each) for each in value)}]`"
    return f"`{_plain(value)}`"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _kind(hint: object) -> str:
    """What may stand there, in words."""
    if get_origin(hint) is Literal:
        return ", ".join(f"`{word}`" for word in get_args(hint))
    if get_origin(hint) is tuple:
        return f"list of {_kind(get_args(hint)[0])}"
    if get_args(hint):
        return " or ".join(_kind(part) for part in get_args(hint) if part is not NoneType)
    words: dict[object, str] = {
        int: "whole number",
        float: "number",
        bool: "yes or no",
        str: "text",
    }
    return words[hint]


PAGES = {"commands.md": commands_page, "parameters.md": parameters_page}


def main() -> int:
    """Write the pages, or say which are not what the code says."""
    parser = argparse.ArgumentParser(prog="python -m docs.reference", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write them")
    write = parser.parse_args().write
    os.environ["COLUMNS"] = COLUMNS
    old = []
    for name, page in PAGES.items():
        text, file = page(), DOCS / name
        if write:
            file.write_text(text, encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != text:
            old.append(name)
    for name in old:
        print(f"docs/{name} is out of date: python -m docs.reference --write", file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
