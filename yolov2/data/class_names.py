"""The class names of a data set description."""

from typing import Any

from yolov2.data.description_file import DescriptionFile, Misread
from yolov2.yaml_aliases import cut, shown

MOST_CLASSES = 1_000_000


def read_class_names(document: DescriptionFile) -> tuple[str, ...]:
    """The class names by class number, from ``names`` (list or mapping) and ``nc``.

    Where only ``nc`` is given they are called ``class_0``, ``class_1``, ...

    Raises:
        ValueError: naming file, line and key: no names, not text, twice the same, a gap in the
            numbers, or another number of them than ``nc`` says.
    """
    names, count = document.values.get("names"), document.values.get("nc")
    if count is not None and not (type(count) is int and 1 <= count <= MOST_CLASSES):
        allowed = f"1 to {MOST_CLASSES:,}"
        raise document.error("nc", f"must be the number of classes ({allowed}), not {shown(count)}")
    if names is None and count is None:
        raise ValueError(f"{document.file}: names is missing: list the class names")
    if names is None:
        return tuple(f"class_{index}" for index in range(count or 0))
    if isinstance(names, dict):
        names = _in_order(document, names)
    if not isinstance(names, list) or not names:
        raise document.error("names", f"must be a list of class names, not {shown(names)}")
    texts = tuple(_name(document, index, name) for index, name in enumerate(names))
    first: dict[str, int] = {}
    for index, text in enumerate(texts):
        if first.setdefault(text, index) != index:
            raise document.error(
                "names", f"'{cut(text)}' is the name of class {first[text]} and of class {index}"
            )
    if count is not None and count != len(texts):
        raise document.error("nc", f"is {count}, but names has {len(texts)} classes")
    return texts


def _in_order(document: DescriptionFile, names: dict[Any, Any]) -> list[Any]:
    """Names by class number, which must run from 0 without a gap."""
    for key in names:
        if isinstance(key, Misread):
            raise document.error("names", f"class number {key!r}: write {key.number} if it is that")
    numbered = {str(key): name for key, name in names.items()}
    missing = [index for index in range(len(names)) if str(index) not in numbered]
    if missing:
        raise document.error(
            "names",
            f"class numbers must run from 0 to {len(names) - 1}: {missing[0]} is missing"
            f" (found {cut(', '.join(numbered))})",
        )
    return [numbered[str(index)] for index in range(len(names))]


def _name(document: DescriptionFile, index: int, name: Any) -> str:
    if isinstance(name, bool) or not isinstance(name, str | int):
        said = shown(name) if isinstance(name, Misread) else f"{shown(name)} for YAML"
        raise document.error("names", f"class {index} is {said}, not text: put the name in quotes")
    if not str(name).strip():
        raise document.error("names", f"class {index} has an empty name")
    return str(name)
