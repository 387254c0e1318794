"""The files that say what was done: run records and figures, read with readable errors."""

import json
from pathlib import Path
from typing import Any


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
