"""``params.yaml`` of an older version as this one wants it: keys moved, comments kept."""

from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from pipeline.params.reading import MOVED
from pipeline.params.schema import load
from pipeline.paths import PARAMS
from yolov2.files import write_text


def upgrade(path: Path = PARAMS) -> list[str]:
    """Move the keys of ``train`` that say where something runs into ``machine``; what was done.

    Raises:
        ValueError: the file is missing, or wrong in another way; it is then left as it is.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"{path} not found: run from the repository's root") from None
    yaml = YAML()
    yaml.width = 4096  # a long list stays in its line
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load(text)
    train = document.get("train") if isinstance(document, CommentedMap) else None
    moved = [key for key in MOVED if key in train] if isinstance(train, CommentedMap) else []
    if not moved or not isinstance(train, CommentedMap):
        load(path)
        return [f"{path} is of this version already"]
    machine = document.get("machine")
    if machine is None:
        machine = CommentedMap()
        document.insert(list(document).index("train") + 1, "machine", machine)
    for key in moved:
        value = train.pop(key)
        machine.setdefault(key, value)
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
    return [f"train.{key} is machine.{key} now" for key in moved]
