"""The score threshold of each class with the best F1: ``thresholds.json``, kept beside its weights.

``yolov2 evaluate --split val`` writes it; a checkpoint is detected with by it, and every exported
file carries it inside.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yolov2.config.section import require
from yolov2.files import file_sha256

THRESHOLDS = "thresholds.json"
CONF_THRESHOLD = 0.5
"""Of a class that has none of its own, as it has no objects in the val split."""


def read_thresholds(path: Path) -> dict[str, float]:
    """Threshold by class name of a ``thresholds.json`` that ``evaluate`` wrote.

    Raises:
        ValueError: no such file, or it holds something else.
    """
    content = _read(path)
    try:
        classes = content["classes"].items()
        found = {str(name): float(one["threshold"]) for name, one in classes}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_thresholds(path, repr(error)) from None
    wrong = [name for name, threshold in found.items() if not 0 <= threshold <= 1]
    if wrong:
        raise _no_thresholds(path, f"{wrong[0]}: {found[wrong[0]]:g} is not between 0 and 1")
    return found


def thresholds_beside(weights: Path) -> Path | None:
    """``thresholds.json`` in the folder of a checkpoint, if it was found with that very file.

    Raises:
        ValueError: the file there holds something else.
    """
    path = weights.with_name(THRESHOLDS)
    if weights.suffix != ".pt" or not path.is_file():
        return None
    told = _read(path).get("weights")
    return path if told in (None, file_sha256(weights)) else None


def class_thresholds(known: Mapping[str, float], class_names: Sequence[str]) -> tuple[float, ...]:
    """The threshold (C,) of each class; 0.5 where none is ``known``.

    Raises:
        ValueError: the thresholds are those of other classes.
    """
    unknown = sorted(set(known) - set(class_names))
    require(
        not unknown,
        f"the thresholds are of another model: it has no class {', '.join(unknown[:3])}",
    )
    return tuple(known.get(name, CONF_THRESHOLD) for name in class_names)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(
            f"no thresholds at {path}: `yolov2 evaluate --split val` writes them"
        ) from None
    except (ValueError, RecursionError) as error:
        raise _no_thresholds(path, repr(error)) from None
    if not isinstance(content, dict):
        raise _no_thresholds(path, "no object")
    return content


def _no_thresholds(path: Path, reason: str) -> ValueError:
    return ValueError(
        f"{path} holds no thresholds as `yolov2 evaluate --split val` writes them ({reason})"
    )
