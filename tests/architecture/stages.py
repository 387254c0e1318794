"""Whether the ``.py`` files that a stage of ``dvc.yaml`` lists are those that its code reaches."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from tests.architecture.imports import PACKAGES, Tree, closure

COMMAND = re.compile(rf"\bpython3? -m ((?:{'|'.join(PACKAGES)})\b[\w.]*)")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What a stage has to add to and remove from its deps to be true.

    ``unknown`` are modules that its command runs and that do not exist.
    """

    stage: str
    missing: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.unknown:
            return f"stage {self.stage}: runs {', '.join(self.unknown)}, which does not exist"
        lines = [f"stage {self.stage}: its .py deps are not what its code imports"]
        for title, paths in (("add", self.missing), ("remove", self.wrong)):
            if paths:
                lines += [f"  {title}:", *(f"      - {path}" for path in paths)]
        return "\n".join(lines)


def differences(tree: Tree, dvc_yaml: Path) -> list[Difference]:
    """The stages of ``dvc_yaml`` whose deps are untrue."""
    compared = [_compare(tree, name, body) for name, body in _stages(YAML().load(dvc_yaml))]
    return [difference for difference in compared if difference is not None]


def rewrite(tree: Tree, dvc_yaml: Path) -> list[Difference]:
    """Make the deps true, all else (other deps, comments, order) as it was; what was changed.

    Edits single lines, because a round trip through a YAML library moves comments.
    """
    changes = differences(tree, dvc_yaml)
    lines = dvc_yaml.read_text(encoding="utf-8").splitlines()
    bodies = dict(_stages(YAML().load(dvc_yaml)))
    edits = [edit for change in changes for edit in _edits(bodies[change.stage], change)]
    for line, text in sorted(
        edits, key=lambda edit: (edit[0], edit[1] is None, edit), reverse=True
    ):
        lines[line : line + (text is None)] = [] if text is None else [text]
    if edits:
        dvc_yaml.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return changes


def _edits(body: CommentedMap, change: Difference) -> Iterator[tuple[int, str | None]]:
    """Line numbers (0-based, of the unchanged file) with the text to put before, None: delete."""
    deps = body.get("deps")
    if not deps:
        line, column = body.lc.key("cmd")
        yield line, "\n".join([f"{' ' * column}deps:", *_items(column + 2, change.missing)])
        return
    if deps.fa.flow_style():
        raise ValueError(f"stage {change.stage}: write its deps one a line")
    rows = {dep: deps.lc.item(index)[0] for index, dep in enumerate(deps)}
    ours = [dep for dep in deps if _is_ours(dep)]
    column = deps.lc.col
    for path in change.wrong:
        yield rows[path], None
    for path in change.missing:
        later = [rows[dep] for dep in ours if dep > path]
        after_ours = 1 + max((rows[dep] for dep in ours), default=min(rows.values()) - 1)
        yield min(later, default=after_ours), *_items(column, [path])


def _items(column: int, paths: Sequence[str]) -> list[str]:
    return [f"{' ' * column}- {path}" for path in paths]


def _stages(document: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Name and body of each stage; the body of a ``foreach`` or ``matrix`` stage is its ``do``."""
    return [(name, body.get("do", body)) for name, body in document["stages"].items()]


def _compare(tree: Tree, stage: str, body: Mapping[str, Any]) -> Difference | None:
    """The stage against all modules that its commands reach; None if true or none of ours."""
    commands = body["cmd"] if isinstance(body["cmd"], list) else [body["cmd"]]
    modules = [
        f"{module}.__main__" if module in tree.files and tree.is_package(module) else module
        for command in commands
        for module in COMMAND.findall(command)
    ]
    unknown = tuple(module for module in modules if module not in tree.files)
    if unknown:
        return Difference(stage=stage, unknown=unknown)
    true = {tree.relative(name) for module in modules for name in closure(tree, module)}
    listed = _listed(body.get("deps") or ())
    if not modules or true == listed:
        return None
    return Difference(
        stage=stage, missing=tuple(sorted(true - listed)), wrong=tuple(sorted(listed - true))
    )


def _listed(deps: Sequence[Any]) -> set[str]:
    return {dep for dep in deps if _is_ours(dep)}


def _is_ours(dep: object) -> bool:
    return isinstance(dep, str) and dep.endswith(".py") and dep.split("/")[0] in PACKAGES
