"""An evaluation out of its files: ``metrics.json`` as flat figures."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SIZES = ("images", "boxes")
"""Numbers in ``metrics.json`` that are not figures of merit."""


def read_json(path: Path, made_by: str) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        ValueError: no such file, or it holds something else; says that ``made_by`` makes it.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path} not found: make it with {made_by}") from None
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged (no JSON object): make it again with {made_by}")
    return content


def flat_metrics(content: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a ``metrics.json``: ``AP``, ..., and ``AP/<class>``, ``AP50/<class>``."""
    figures = {
        name: float(value)
        for name, value in content.items()
        if isinstance(value, int | float) and name not in SIZES
    }
    for class_name, values in content.get("per_class", {}).items():
        figures |= {f"{metric}/{class_name}": float(value) for metric, value in values.items()}
    return figures
