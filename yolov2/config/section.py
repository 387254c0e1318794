"""What every section of the settings has in common, and how a value is refused."""

from collections.abc import Mapping
from math import isfinite
from typing import Any, ClassVar


class Section:
    """Base of every section: values are taken as written, an unknown key is an error.

    The mapping is read by pydantic where ``params.yaml`` is parsed; nothing here imports it.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = {
        "extra": "forbid",
        "strict": True,
        "allow_inf_nan": False,
    }


def require(condition: bool, message: str) -> None:
    """Raise ``ValueError(message)`` unless ``condition`` holds."""
    if not condition:
        raise ValueError(message)


def require_between(name: str, value: float, low: float, high: float) -> None:
    """Raise ``ValueError`` unless ``low <= value <= high`` (both ends allowed, NaN refused)."""
    require(
        isfinite(value) and low <= value <= high,
        f"{name} must be between {low:g} and {high:g}, not {value:g}",
    )
