"""Sections of ``params.yaml`` read one by one, every key and value checked.

A stage reads the sections that it needs, so that it does not depend on what others are made of.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from pipeline.paths import PARAMS
from yolov2.config.section import Section
from yolov2.yaml_aliases import cut, refuse_bombs

SECTIONS = (
    *("data", "digits", "validate", "anchors", "model", "train", "machine", "evaluate", "export"),
    *("tracking", "promote", "flows", "schedule"),
)

SectionType = TypeVar("SectionType", bound=Section)


def read_section(name: str, kind: type[SectionType], path: Path = PARAMS) -> SectionType:
    """The section ``name`` of ``path``; where it is absent, its defaults.

    Raises:
        ValueError: naming file, line, key and value of the first thing that is wrong in it.
    """
    document = read_document(path)
    value = document.get(name)
    return checked({} if value is None else value, kind, document, path, [name])


def read_document(path: Path = PARAMS) -> CommentedMap:
    """``path`` as it is written, its sections known by name.

    Raises:
        ValueError: it is missing, no YAML, or has a section that nothing reads.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(
            f"{path} not found: run from the repository's root, or write one with"
            " `pipeline params use demo`"
        ) from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a UTF-8 text file") from None
    try:
        refuse_bombs(YAML().compose(text), path)
        document = YAML().load(text)
    except YAMLError as error:
        problem = " ".join(str(error).split())
        raise ValueError(f"{path} cannot be read as YAML: {problem}") from None
    except RecursionError:
        raise ValueError(f"{path} cannot be read as YAML: it is nested too deeply") from None
    if not isinstance(document, CommentedMap):
        raise ValueError(f"{path} must hold sections (data:, train:, ...)")
    for name in document:
        if name not in SECTIONS:
            raise ValueError(
                f"{path}:{line_of(document, [name])}: unknown key '{cut(str(name))}'; known here:"
                f" {', '.join(SECTIONS)}"
            )
    return document


def checked(
    value: Any, kind: type[SectionType], document: CommentedMap, path: Path, where: list[str]
) -> SectionType:
    """``value``, which stands in ``document`` at ``where``, as a ``kind``.

    Raises:
        ValueError: naming file, line, key and value of the first thing that is wrong.
    """
    try:
        # JSON, because pydantic's strict mode takes lists for tuples only from JSON
        return _adapter(kind).validate_json(json.dumps(value, default=str))  # type: ignore[no-any-return, arg-type]
    except ValidationError as error:
        raise ValueError(_explain(path, document, where, kind, error)) from None


def read_plain(name: str, kind: type[SectionType], sections: Mapping[str, Any]) -> SectionType:
    """The section ``name`` of settings that were written down as plain values."""
    return checked(sections[name], kind, CommentedMap(), PARAMS, [name])


@cache
def _adapter(kind: type[Section]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _explain(
    path: Path,
    document: CommentedMap,
    above: list[str],
    kind: type[Section],
    error: ValidationError,
) -> str:
    """One line for the first mistake: file, line, key, value, what is wrong."""
    first = error.errors(include_url=False)[0]
    where = [*above, *first["loc"]]
    key = ".".join(str(part) for part in where)
    at = f"{path}:{line_of(document, where)}"
    if first["type"] == "unexpected_keyword_argument":
        known = ", ".join(_known_keys(kind, list(first["loc"][:-1])))
        moved = _moved_to(where)
        return f"{at}: unknown key '{key}'{moved}; known here: {known}"
    reason = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error":
        return f"{at}: {key}: {reason}" if key else f"{at}: {reason}"
    value = cut(json.dumps(first["input"], default=str))
    return f"{at}: {key}: {reason}, not {value}"


MOVED = ("device", "num_workers", "cache", "log_every", "checkpoint")
"""Keys of ``train`` in version 0.1 that are keys of ``machine`` now."""


def _moved_to(where: list[str | int]) -> str:
    if where[0] == "train" and len(where) == 2 and where[1] in MOVED:
        return f" (since 0.2 it is machine.{where[1]}: `pipeline params upgrade` moves it)"
    return ""


def line_of(document: Any, where: list[Any]) -> int:
    """Line (1-based) of the value at ``where``, or of its nearest parent."""
    line = 1
    for part in where:
        if isinstance(document, CommentedMap) and part in document:
            line = document.lc.key(part)[0] + 1
        elif isinstance(document, CommentedSeq) and part in range(len(document)):
            line = document.lc.item(part)[0] + 1
        else:
            break
        document = document[part]
    return line


def _known_keys(kind: Any, where: list[str | int]) -> list[str]:
    for part in where:
        field = next((f for f in fields(kind) if f.name == part), None)
        if field is None or field.default_factory is MISSING:
            return []
        kind = field.default_factory
    return [f.name for f in fields(kind)] if is_dataclass(kind) else []


def plain(document: Any) -> Any:
    """The same as plain dictionaries and lists."""
    if isinstance(document, Mapping):
        return {key: plain(value) for key, value in document.items()}
    return [plain(v) for v in document] if isinstance(document, list) else document
