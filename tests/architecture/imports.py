"""What imports what: every import statement of our packages, read from the source, never run."""

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PACKAGES = ("yolov2", "pipeline", "flows", "deploy")

Place = Literal["module", "function", "typing"]
"""Where the statement stands: run at import, run when called, or never run (TYPE_CHECKING)."""


@dataclass(frozen=True, kw_only=True)
class Import:
    """One imported module: ``target`` is the dotted name of ours, or of a third party's."""

    module: str
    target: str
    line: int
    place: Place


@dataclass(frozen=True, kw_only=True)
class Tree:
    """The modules of a source tree by dotted name (packages too), and all their imports."""

    root: Path
    files: Mapping[str, Path]
    imports: tuple[Import, ...]

    def is_package(self, module: str) -> bool:
        return self.files[module].name == "__init__.py"

    def where(self, found: Import) -> str:
        """``path:line`` of the statement."""
        return f"{self.relative(found.module)}:{found.line}"

    def relative(self, module: str) -> str:
        return self.files[module].relative_to(self.root).as_posix()


def read_tree(root: Path) -> Tree:
    """The tree under ``root``: its packages (``PACKAGES``)."""
    files = {_dotted(path, root): path for name in PACKAGES for path in (root / name).rglob("*.py")}
    imports = [
        found for name, path in sorted(files.items()) for found in _imports(name, path, files)
    ]
    return Tree(root=root, files=files, imports=tuple(imports))


def closure(tree: Tree, module: str) -> set[str]:
    """``module`` and every module of ours that running it can load, packages' files included.

    Imports inside functions count, those under TYPE_CHECKING do not. An empty ``__init__.py``
    is left out: it has no code that could change a result.
    """
    reached: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        waiting += [parent for parent in _parents(name) if parent in tree.files]
        waiting += [
            found.target
            for found in tree.imports
            if found.module == name and found.place != "typing" and found.target in tree.files
        ]
    return {name for name in reached if not (tree.is_package(name) and _is_empty(tree.files[name]))}


def cycles(tree: Tree) -> list[list[str]]:
    """Groups of modules that reach each other by import (all statements count), sorted."""
    edges: dict[str, set[str]] = {name: set() for name in tree.files}
    for found in tree.imports:
        if found.target in tree.files:
            edges[found.module].add(found.target)
    reach = {name: _reachable(name, edges) for name in edges}
    groups = {
        tuple(sorted(other for other in reach[name] if name in reach[other]))
        for name in edges
        if name in reach[name]
    }
    return [list(group) for group in sorted(groups)]


def _reachable(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = list(edges[start])
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += edges[name]
    return reached


def _dotted(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _is_empty(path: Path) -> bool:
    return not path.read_text(encoding="utf-8").strip()


def _imports(module: str, path: Path, known: Collection[str]) -> Iterator[Import]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    for node, place in _walk(tree, "module"):
        for target in _targets(node, package, known):
            yield Import(module=module, target=target, line=node.lineno, place=place)


def _walk(node: ast.AST, place: Place) -> Iterator[tuple[ast.stmt | ast.expr, Place]]:
    """Every statement and expression below ``node`` with the place it stands in."""
    for child in ast.iter_child_nodes(node):
        inner = place
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inner = "function" if place == "module" else place
        if isinstance(child, ast.stmt | ast.expr):
            yield child, inner
        if isinstance(child, ast.If) and _is_type_checking(child.test):
            yield from _walk(ast.Module(body=child.body, type_ignores=[]), "typing")
            yield from _walk(ast.Module(body=child.orelse, type_ignores=[]), inner)
        else:
            yield from _walk(child, inner)


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def _targets(node: ast.stmt | ast.expr, package: str, known: Collection[str]) -> list[str]:
    """Dotted names that ``node`` imports; ``import_module("literal")`` counts as well."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = _base(node, package)
        names = [f"{base}.{alias.name}" for alias in node.names]
        return sorted({name if name in known else base for name in names})
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = getattr(node.func, "attr", getattr(node.func, "id", None))
        if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
            return [node.args[0].value]
    return []


def _base(node: ast.ImportFrom, package: str) -> str:
    if node.level == 0:
        return node.module or ""
    parts = package.split(".")
    start = parts[: len(parts) - node.level + 1]
    return ".".join([*start, node.module] if node.module else start)
