"""By what a run is known again: a hash of the code, the data and the parameters that decide it."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pipeline.workspace.identity import RunIdentity

SECTIONS = {"evaluate": ("evaluate",), "export": ("evaluate", "export")}
"""Sections of ``params.yaml`` that a stage reads, besides those that decide the training."""


def fingerprint(
    stage: str, key: str, identity: RunIdentity, settings: Mapping[str, Any]
) -> str | None:
    """sha256 that equal code, data and parameters give; None where the code is not known.

    Of a training it is ``key``, its own fingerprint. What comes after it hashes that key (which
    stands for the weights), its own ``.py`` dependencies, the data and its settings.
    """
    if stage == "train":
        return key
    code = {name: md5 for name, md5 in identity.dependencies.items() if name.endswith(".py")}
    if not code or stage not in SECTIONS:
        return None
    sections = {name: settings.get(name) for name in SECTIONS[stage]}
    content = [stage, key, code, dict(identity.data_digest), sections]
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
