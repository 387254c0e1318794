"""A data set description as written: YAML, read safely, each key with its line."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class DescriptionFile:
    """The top-level keys of a description, and on which line (1-based) each stands."""

    file: Path
    values: Mapping[str, Any]
    lines: Mapping[str, int]

    def error(self, key: str, message: str) -> ValueError:
        """The error to raise for ``key``: file, line, key and what is wrong with it."""
        line = f":{self.lines[key]}" if key in self.lines else ""
        return ValueError(f"{self.file}{line}: {key}: {message}")


def read_description_file(file: Path) -> DescriptionFile:
    """Read ``file`` with YAML's safe rules: nothing in it is ever executed.

    Raises:
        ValueError: the file is missing, not text, not YAML (the line is named), holds a key
            twice, or is no mapping.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ValueError(
            f"{file} not found: name the description of a data set, a .yaml with the keys"
            " path, train, val, names"
        ) from None
    except IsADirectoryError:
        raise ValueError(f"{file} is a folder: name the .yaml file in it") from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file} is not a UTF-8 text file (byte {error.start}): save it as UTF-8"
        ) from None
    values, lines = _parse(file, text)
    return DescriptionFile(file=file, values=values, lines=lines)


def _parse(file: Path, text: str) -> tuple[dict[str, Any], dict[str, int]]:
    # where it is used: the detector itself needs no YAML
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ValueError(f"{file}{line}: not valid YAML: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        line = f":{text.count(chr(10), 0, error.position) + 1}"
        raise ValueError(f"{file}{line}: not valid YAML: {error.reason}") from None
    except (ValueError, RecursionError) as error:  # an impossible date, nesting without end
        raise ValueError(f"{file}: not valid YAML: {error}") from None
    if not isinstance(node, yaml.MappingNode):
        raise ValueError(f"{file} must hold keys (path, train, val, names), one a line")
    lines: dict[str, int] = {}
    for key, value in node.value:
        _once(file, key, lines)
        if key.value == "names" and isinstance(value, yaml.MappingNode):
            seen: dict[str, int] = {}
            for name_key, _ in value.value:
                _once(file, name_key, seen)
    return {str(key): value for key, value in values.items()}, lines


def _once(file: Path, key: Any, lines: dict[str, int]) -> None:
    """Note the line of ``key``; YAML itself would silently take the last of two."""
    name, line = str(key.value), key.start_mark.line + 1
    if name in lines:
        raise ValueError(f"{file}:{line}: {name}: given twice, first on line {lines[name]}")
    lines[name] = line
