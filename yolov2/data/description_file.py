"""A data set description as written: YAML, read safely, each key with its line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yolov2.yaml_aliases import refuse_bombs


@dataclass(frozen=True)
class Misread:
    """A whole number that is not written in plain digits: as ``written``, and what YAML reads."""

    written: str
    number: int

    def __repr__(self) -> str:
        return f"{self.written} ({self.number} for YAML)"


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

    if _is_darknets(text):
        raise ValueError(
            f"{file} is a description for darknet (key = value, as CVAT's export YOLO 1.1 has it):"
            " write a .yaml beside it with `train:` and `val:` (the same lists of images) and"
            " `names:` (a list of the lines of its .names file)"
        )
    try:
        loader = _loader(text)
        node = loader.get_single_node()
        refuse_bombs(node, file)
        if not isinstance(node, yaml.MappingNode):
            raise ValueError(f"{file} must hold keys (path, train, val, names), one a line")
        lines = _lines(file, node)
        values = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ValueError(f"{file}{line}: not valid YAML: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        line = f":{text.count(chr(10), 0, error.position) + 1}"
        raise ValueError(f"{file}{line}: not valid YAML: {error.reason}") from None
    except (ValueError, RecursionError) as error:  # an impossible date, nesting without end
        known = str(error).startswith(str(file))
        raise ValueError(str(error) if known else f"{file}: not valid YAML: {error}") from None
    return {str(key): value for key, value in values.items()}, lines


def _is_darknets(text: str) -> bool:
    """Whether every line is ``key = value``, and darknet's keys are among them."""
    lines = [line.strip() for line in text.splitlines()]
    pairs = [re.match(r"(\w+)\s*=", line) for line in lines if line and not line.startswith("#")]
    keys = {pair[1] for pair in pairs if pair}
    return all(pairs) and bool(keys & {"classes", "train", "valid", "names"})


def _loader(text: str) -> Any:
    """PyYAML's safe loader, but for two things that YAML 1.1 would silently make of names.

    A whole number that is not in plain digits becomes ``Misread``: 007, 010 (octal), 12:30 (base
    60). And JSON's two halves of a character, a surrogate pair, become that character.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """A class of its own, as constructors belong to a class."""

    def whole_number(loader: Any, node: Any) -> int | Misread:
        number: int = loader.construct_yaml_int(node)
        return number if str(number) == node.value else Misread(node.value, number)

    def text_of(loader: Any, node: Any) -> str:
        found: str = loader.construct_scalar(node)
        try:
            return found.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            half = next(char for char in found if "\ud800" <= char <= "\udfff")
            problem = f"half a character, {half!a}: write the whole one"
            mark = node.start_mark
            raise yaml.constructor.ConstructorError(None, None, problem, mark) from None

    Loader.add_constructor("tag:yaml.org,2002:int", whole_number)
    Loader.add_constructor("tag:yaml.org,2002:str", text_of)
    return Loader(text)


def _lines(file: Path, node: Any) -> dict[str, int]:
    """The line of each key of the mapping ``node``; that no key is there twice, nor in names."""
    lines: dict[str, int] = {}
    for key, value in node.value:
        _once(file, key, lines)
        if key.value == "names" and value.id == "mapping":
            seen: dict[str, int] = {}
            for name_key, _ in value.value:
                _once(file, name_key, seen)
    return lines


def _once(file: Path, key: Any, lines: dict[str, int]) -> None:
    """Note the line of ``key``; YAML itself would silently take the last of two."""
    name, line = str(key.value), key.start_mark.line + 1
    if name in lines:
        raise ValueError(f"{file}:{line}: {name}: given twice, first on line {lines[name]}")
    lines[name] = line
