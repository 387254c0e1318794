"""The section ``tracking`` of ``params.yaml``."""

import unicodedata
from dataclasses import dataclass

from yolov2.config.section import Section, require

NAME_BYTES = 180
"""Most bytes of a name in MLflow: folders of 255 have it with numbers and words behind it."""


@dataclass(frozen=True, kw_only=True)
class TrackingConfig(Section):
    """Names under which MLflow files runs and models.

    Letters and digits of any script, between them also blanks and ``_ - . +``, so that a name works
    in filters, in ``models:/NAME@alias`` and as a folder.
    """

    experiment: str = "yolov2"
    model_name: str = "yolov2"

    def __post_init__(self) -> None:
        for name in ("experiment", "model_name"):
            _require_name(name, self.__dict__[name])


def _require_name(key: str, value: str) -> None:
    """Raise ``ValueError`` for a name that not every place takes in which it is written."""
    # letters, marks and numbers of any script
    known = [char in "_-.+ " or unicodedata.category(char)[0] in "LMN" for char in value]
    ends = value[:1] + value[-1:]
    require(
        bool(value) and all(known) and not set(ends) & set("-.+ "),
        f"{key} must be a name of letters and digits, between them also blanks and the signs _ - ."
        " +: it stands in filters, addresses (models:/NAME@champion), folders and -S KEY=VALUE;"
        f" not {value!r}",
    )
    size = len(value.encode())
    require(size <= NAME_BYTES, f"{key} must be {NAME_BYTES} bytes or less in UTF-8, not {size}")
