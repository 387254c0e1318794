"""What a request to the served model may say, and in which form the model gets it.

MLflow's own reading of JSON makes of ``inputs`` and ``instances`` an array in which every text
takes the room of the longest, four bytes a character: a request of 30 MB could ask for 30 GB.
So the images are taken from any of its four forms here and handed on in one that costs nothing.
"""

import json
from collections.abc import Mapping
from typing import Any

MOST_IMAGES = 256
"""Images of one request; more belong into several, or into ``yolov2 detect``."""

SPARE_MARKS = 64
"""Commas and brackets that a request needs besides those of its images."""

PARAMETERS = ("conf_threshold", "max_detections", "nms_threshold")
"""Those of the model's signature; MLflow would pass over a misspelled one without a word."""

FORMS = ("dataframe_records", "dataframe_split", "inputs", "instances")
EXAMPLE = '{"dataframe_records": [{"image": "<an image file in base64>"}]}'


class RequestError(ValueError):
    """A request that is not answered with detections; its HTTP status and the sentence why."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def canonical(body: bytes) -> bytes:
    """The same request as ``dataframe_split`` with the one column ``image``.

    Raises:
        RequestError: it is no JSON, has too many images, or one that is not text.
    """
    # before anything is parsed: a list of numbers takes ten times the room of its text
    for mark in (b",", b"[", b"{"):
        if body.count(mark) > MOST_IMAGES + SPARE_MARKS:
            raise RequestError(
                413,
                f"a request may have {MOST_IMAGES} images, each as base64 text, not as numbers:"
                " send several requests",
            )
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        reason = "it is not text" if isinstance(error, UnicodeDecodeError) else error
        raise RequestError(400, f"the body is not JSON ({reason}): send {EXAMPLE}") from None
    forms = [form for form in FORMS if form in content] if isinstance(content, dict) else []
    if len(forms) != 1:
        raise RequestError(400, f"the body must have one of {', '.join(FORMS)}: send {EXAMPLE}")
    params = _params(content.get("params"))
    images = _images(forms[0], content[forms[0]])
    for row, image in enumerate(images):
        if not isinstance(image, str):
            kind = _kind(image)
            raise RequestError(400, f"row {row}: image must be base64 text, not {kind}")
    if len(images) > MOST_IMAGES:
        raise RequestError(413, f"{len(images)} images; a request may have {MOST_IMAGES}")
    table = {"columns": ["image"], "data": [[image] for image in images]}
    return json.dumps({"dataframe_split": table, "params": params}).encode()


def _params(given: Any) -> dict[str, float]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise RequestError(400, 'params must be an object like {"conf_threshold": 0.5}')
    for name, value in given.items():
        if name not in PARAMETERS:
            known = ", ".join(PARAMETERS)
            raise RequestError(400, f"there is no parameter '{name[:80]}', only {known}")
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise RequestError(400, f"{name} must be a number, not {_kind(value)}")
    return given


def _images(form: str, value: Any) -> list[object]:
    """The column ``image`` of any of the forms."""
    if form == "dataframe_split":
        names = value.get("columns") if isinstance(value, Mapping) else None
        rows = value.get("data") if isinstance(value, Mapping) else None
        if isinstance(names, list) and isinstance(rows, list) and "image" in names:
            at = names.index("image")
            return [row[at] if isinstance(row, list) and at < len(row) else None for row in rows]
    elif isinstance(value, list):
        plain = form != "dataframe_records"
        return [
            row.get("image") if isinstance(row, Mapping) else row if plain else None
            for row in value
        ]
    elif form != "dataframe_records" and isinstance(value, Mapping) and "image" in value:
        images = value["image"]
        return list(images) if isinstance(images, list) else [images]
    raise RequestError(400, f"{form} has no column 'image': send {EXAMPLE}")


def _kind(value: object) -> str:
    names = {
        list: "a list",
        dict: "an object",
        type(None): "missing",
        bool: "true or false",
        str: "text",
    }
    return names.get(type(value), "a number")
