"""What ``dvc.yaml``, ``dvc.lock`` and ``.dvc`` files say, read without DVC."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.paths import PARAMS

DVC_YAML = Path("dvc.yaml")
DVC_LOCK = Path("dvc.lock")
UNKNOWN = "unknown"
"""The digest of what is not there, or was never looked at."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """A file or folder that DVC knows: absolute, and the stage or ``.dvc`` file that has it.

    ``made``: by a stage or an import, so that nobody else may change it.
    """

    path: Path
    owner: str
    made: bool


def parse_yaml(text: str) -> Any:
    """The value of a YAML text; ``YAMLError`` where it is none."""
    return YAML(typ="safe").load(text)


def read_yaml(file: Path) -> dict[str, Any]:
    """The mapping in a YAML file; empty where there is no file.

    Raises:
        ValueError: it is not YAML.
    """
    try:
        return dict(parse_yaml(file.read_text(encoding="utf-8")) or {})
    except FileNotFoundError:
        return {}
    except (YAMLError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise ValueError(f"{file} cannot be read as YAML: {' '.join(str(error).split())}") from None


def file_md5(path: Path) -> str:
    """md5 of a file's bytes, as DVC has it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def folder_state(folder: Path) -> str:
    """sha256 of the places, sizes and times of all files below a folder, links followed."""
    digest, seen = hashlib.sha256(), set()
    for where, below, names in os.walk(folder, followlinks=True):
        here = os.stat(where)
        if (here.st_dev, here.st_ino) in seen:  # a link to a folder above
            below.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        below.sort()
        for file in (os.path.join(where, name) for name in sorted(names)):
            state = os.stat(file) if os.path.exists(file) else os.lstat(file)
            line = f"{os.path.relpath(file, folder)}\0{state.st_size}\0{state.st_mtime_ns}\n"
            digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()


def dependencies(stage: str) -> list[str]:
    """Paths of what ``dvc.yaml`` says that ``stage`` reads, with the values of ``params.yaml``."""
    named = read_yaml(DVC_YAML).get("stages", {}).get(stage, {}).get("deps", [])
    values = read_yaml(PARAMS)
    return [os.path.normpath(_interpolate(str(name), values)) for name in named]


def parameters(stage: str) -> dict[str, Any]:
    """The values in ``params.yaml`` that ``dvc.yaml`` says ``stage`` reads, by dotted name."""
    named = read_yaml(DVC_YAML).get("stages", {}).get(stage, {}).get("params", [])
    values = read_yaml(PARAMS)
    return {name: _value(name, values) for name in named if isinstance(name, str)}


def locked_digests() -> dict[str, str]:
    """Path -> digest of every dependency and output in ``dvc.lock``."""
    stages = read_yaml(DVC_LOCK).get("stages", {}).values()
    entries = [e for stage in stages for e in (*stage.get("deps", ()), *stage.get("outs", ()))]
    return {entry["path"]: str(entry.get("md5", UNKNOWN)) for entry in entries}


def code_version(stage: str) -> str:
    """sha256 over the ``.py`` files that ``stage`` depends on, as ``dvc.yaml`` lists them."""
    digest = hashlib.sha256()
    for name in sorted(name for name in dependencies(stage) if name.endswith(".py")):
        digest.update(name.encode() + b"\0" + Path(name).read_bytes())
    return digest.hexdigest()


def outputs(place: Path, here: Path) -> Iterator[Output]:
    """DVC's outputs that ``place`` may lie in: those of ``dvc.yaml`` and of ``.dvc`` files above.

    Raises:
        ValueError: one of these files is not YAML.
    """
    for stage, content in read_yaml(here / DVC_YAML).get("stages", {}).items():
        for out in content.get("outs", ()):
            name = next(iter(out)) if isinstance(out, Mapping) else out
            path = Path(os.path.normpath(here / content.get("wdir", ".") / str(name)))
            yield Output(path=path, owner=f"the stage {stage}", made=True)
    for folder in (place, *place.parents):
        if not folder.is_relative_to(here):
            return
        for file in sorted(folder.glob("*.dvc")):
            if not file.is_file():
                continue
            content = read_yaml(file)
            for out in content.get("outs", ()):
                path = Path(os.path.normpath(folder / content.get("wdir", ".") / out["path"]))
                owner = file.relative_to(here).as_posix()
                yield Output(path=path, owner=owner, made=bool(content.get("deps")))


def _value(name: str, values: Any) -> Any:
    """What nested ``values`` have at a dotted name; None where they have nothing."""
    for part in name.split("."):
        if not isinstance(values, Mapping) or part not in values:
            return None
        values = values[part]
    return values


def _interpolate(text: str, values: Mapping[str, Any]) -> str:
    """DVC's ``${section.key}`` replaced by its value in ``params.yaml``; unknown ones stay."""

    def value(match: re.Match[str]) -> str:
        found = _value(match[1].strip(), values)
        return match[0] if found is None else str(found)

    return re.sub(r"\$\{([^}]+)\}", value, text)
