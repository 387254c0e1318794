"""Description and ``params.yaml`` changed by a program, with a person's comments kept."""

import os
import re
from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq
from ruamel.yaml.tokens import CommentToken

from pipeline.data.data_set import LOG, DataSet
from yolov2.config.data import DataConfig
from yolov2.data.description import SPLITS
from yolov2.data.description_file import read_description_file
from yolov2.data.images.files import locate
from yolov2.files import write_text


def split_entries(values: Mapping[str, Any], split: str) -> list[str]:
    """What the keys of a description give for ``split``, as a list."""
    value = values.get(split)
    if split == "val" and value is None:
        value = values.get("validation")
    return list(value) if isinstance(value, list) else [value] if value else []


def extension_text(data: DataSet) -> str:
    """The description that names the splits of ``data.now``, before any batch is added."""
    source = data.now.file
    document = read_description_file(source)
    keep = {name: document.values[name] for name in ("nc", "names") if name in document.values}
    home = data.now.root
    lines: dict[str, Any] = {"path": os.path.relpath(data.root, data.description.parent)}
    for split in SPLITS:
        found = [locate(home, entry) for entry in split_entries(document.values, split)]
        entries = [os.path.relpath(path, data.root) for path in found if path is not None]
        if entries:
            lines[split] = entries if len(entries) > 1 else entries[0]
    stream = StringIO()
    YAML().dump(lines | keep, stream)
    return (
        f"# {os.path.relpath(source)} and what `pipeline data add` added to it.\n"
        f"# {LOG} tells when, from where and by whom.\n{stream.getvalue()}"
    )


def with_entry(text: str, split: str, entry: str) -> str:
    """The description ``text`` with one more folder in the list of ``split``."""

    def add(document: Any) -> None:
        key = "validation" if split == "val" and document.get("val") is None else split
        key = key if key in document else split
        entries = split_entries(document, split)
        if not entries:
            document[key] = entry
            return
        listed = document[key]
        if not isinstance(listed, CommentedSeq):
            listed = CommentedSeq(entries)
            listed.ca.items[len(entries) - 1] = [document.ca.items.pop(key, [None] * 4)[2], None]
            document[key] = listed
        listed.append(entry)
        _move_comment(listed, len(entries) - 1, len(entries))

    return _changed(text, add)


def _move_comment(listed: CommentedSeq, old: int, new: int) -> None:
    """Let what follows the line of item ``old``, once the last one, follow item ``new``."""
    (token, *_) = listed.ca.items.get(old) or (None,)
    if token is None:
        return
    line, newline, below = token.value.partition("\n")
    if below:
        token.value = line + newline
        listed.ca.items[new] = [CommentToken(newline + below, token.start_mark), None]


def with_data(text: str, data: DataConfig) -> str:
    """The text of a ``params.yaml`` with this section ``data``."""

    def change(document: Any) -> None:
        section = document.setdefault("data", {})
        section["config"], section["root"] = data.config, data.root

    return _changed(text, change)


def use_data(params: Path, data: DataConfig) -> None:
    """Make ``params`` name this data set, at once: a reader sees the old text or the new."""
    write_text(params, with_data(params.read_text(encoding="utf-8"), data))


def _changed(text: str, change: Callable[[Any], None]) -> str:
    mapping, dash = _indents(text)
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096  # a long list stays in its line
    yaml.indent(mapping=mapping, sequence=dash + 2, offset=dash)
    document = yaml.load(text)
    change(document)
    stream = StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def _indents(text: str) -> tuple[int, int]:
    """Spaces before a nested key, and before the dash of a list, as the text has them."""
    key = re.search(r"^( +)[^\s#-]", text, re.MULTILINE)
    dash = re.search(r"^( *)- ", text, re.MULTILINE)
    return len(key[1]) if key else 2, len(dash[1]) if dash else 2
