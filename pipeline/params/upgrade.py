"""``params.yaml`` of an older version as this one wants it: keys moved, comments kept."""

from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from pipeline.params.reading import MOVED, line_of, read_document
from pipeline.params.schema import load
from pipeline.paths import PARAMS
from yolov2.files import write_text


def upgrade(path: Path = PARAMS) -> list[str]:
    """Move the keys of ``train`` that say where something runs into ``machine``; what was done.

    Raises:
        ValueError: the file is missing, or wrong in another way; it is then left as it is.
    """
    train = read_document(path).get("train")
    moved = [key for key in MOVED if key in train] if isinstance(train, CommentedMap) else []
    if not moved:
        load(path)
        return [f"{path} is of this version already"]
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096  # a long list stays in its line
    yaml.indent(mapping=2, sequence=4, offset=2)
    text = path.read_text(encoding="utf-8")
    document = yaml.load(text)
    told = _move(document, moved, path)
    stream = StringIO()
    yaml.dump(document, stream)
    checked = path.with_name(f".{path.name}.upgraded")
    checked.write_text(stream.getvalue(), encoding="utf-8")
    try:
        load(checked)
    except ValueError as error:
        raise ValueError(str(error).replace(str(checked), str(path))) from None
    finally:
        checked.unlink()
    write_text(path.with_name(f"{path.name}.bak"), text)
    write_text(path, stream.getvalue())
    return told


def _move(document: CommentedMap, keys: Sequence[str], path: Path) -> list[str]:
    """Move ``keys`` of ``train`` into ``machine``, each with its comment; a sentence each."""
    train = document["train"]
    if document.get("machine") is None:
        document.pop("machine", None)
        document.insert(list(document).index("train") + 1, "machine", CommentedMap())
    machine = document["machine"]
    if not isinstance(machine, CommentedMap):
        line = line_of(document, ["machine"])
        raise ValueError(f"{path}:{line}: machine must hold settings, as train does")
    told = []
    for key in keys:
        if key in machine:
            told.append(
                f"train.{key}: {_words(train.pop(key))} is gone: machine.{key}:"
                f" {_words(machine[key])} was there already"
            )
            continue
        comment = train.ca.items.pop(key, None)
        machine[key] = train.pop(key)
        if comment is not None:
            machine.ca.items[key] = comment
        told.append(f"train.{key} is machine.{key} now")
    return told


def _words(value: object) -> str:
    return str(dict(value)) if isinstance(value, CommentedMap) else str(value)
