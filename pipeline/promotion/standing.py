"""What serves, why it was chosen, and what waits for a decision."""

from dataclasses import dataclass
from typing import Any

from pipeline import paths
from pipeline.params.schema import Params
from pipeline.promotion.settled import SETTLED, settled_as
from pipeline.registry.models import CHALLENGER, CHAMPION, PREVIOUS, Registry, Version
from pipeline.tracking.address import database_file, tracking_uri
from yolov2.files import file_sha256

UNREGISTERED = f"{paths.ONNX} is not registered: `pipeline register`"
NO_STORE = "there is no store of runs yet: `dvc repro` makes it"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The versions by alias, and whether something is left to do about this folder's model.

    ``pending``: the exported graph is not registered, or the challenger not decided on.
    ``sentence`` says it in words.
    """

    aliases: dict[str, Version]
    pending: bool
    sentence: str


def standing(params: Params) -> Standing:
    """How things stand in the registry and in this folder; looking makes no store.

    Raises:
        TrackingError: the store cannot be used.
    """
    file = database_file(tracking_uri())
    if file is not None and not file.exists():
        left = paths.ONNX.is_file()
        return Standing(aliases={}, pending=left, sentence=UNREGISTERED if left else NO_STORE)
    registry = Registry(params.tracking)
    numbers = registry.aliases()
    versions = {alias: registry.with_number(number) for alias, number in numbers.items()}
    known = {alias: version for alias, version in versions.items() if version is not None}
    sentence = _unregistered(registry)
    if sentence:
        return Standing(aliases=known, pending=True, sentence=sentence)
    challenger = known.get(CHALLENGER)
    if challenger is None:
        return Standing(aliases=known, pending=False, sentence=f"there is no {CHALLENGER}")
    settled = settled_as(params, challenger, known.get(CHAMPION))
    subject = f"version {challenger.number} of {registry.name}"
    said = SETTLED.get(settled, "waits for a decision: `pipeline promote`")
    return Standing(aliases=known, pending=not settled, sentence=f"{subject} {said}")


def lines(found: Standing) -> list[str]:
    """The versions that have an alias, and what waits, for people."""
    named = [a for a in (CHAMPION, CHALLENGER, PREVIOUS) if a in found.aliases]
    nobody = [] if CHAMPION in found.aliases else [f"{CHAMPION}: none"]
    return [*nobody, *(_line(alias, found.aliases[alias]) for alias in named), found.sentence]


def content(found: Standing) -> dict[str, Any]:
    """The same for programs: number and tags of the version under each alias."""
    aliases = {
        alias: {"version": version.number, "tags": dict(version.tags)}
        for alias, version in found.aliases.items()
    }
    return {"pending": found.pending, "sentence": found.sentence, "aliases": aliases}


def _unregistered(registry: Registry) -> str:
    """What to say of an exported graph that no version is of; empty if there is none such."""
    if not paths.ONNX.is_file():
        return ""
    if registry.find("onnx_sha256", file_sha256(paths.ONNX)) is not None:
        return ""
    return UNREGISTERED


def _line(alias: str, version: Version) -> str:
    tags = version.tags
    split, ap = tags.get("split", ""), tags.get("AP", "unknown")
    why = tags.get("decision") or "not decided on"
    commit = tags.get("git_commit", "")[:8] or "unknown"
    return (
        f"{alias}: version {version.number}, {split} AP {ap}, training run"
        f" {tags.get('training_run', 'unknown')}, commit {commit}; {why}"
    )
