"""The rules of the house: who may import whom, no cycles, empty packages, small files.

Each check returns its findings as sentences, ``path:line`` first; no finding, empty list.
"""

import ast
from collections.abc import Iterator

from tests.architecture.imports import PACKAGES, Import, Tree, cycles

MODULE_LINES = 300
FUNCTION_LINES = 45
"""Most lines of a function without its docstring, which shall not be short for this rule."""

GROUND = frozenset({"yolov2.config.model", "yolov2.boxes"})
DETECTOR = GROUND | {"yolov2.data", "yolov2.network"}
DETECTION = DETECTOR | {"yolov2.runtime", "yolov2.detection"}
LIBRARY = DETECTION | {
    "yolov2.evaluation",
    "yolov2.export",
    "yolov2.training",
    "yolov2.runs.run",
}

MAY_IMPORT: dict[str, frozenset[str]] = {
    "yolov2.config.model": frozenset(),
    "yolov2.boxes": frozenset(),
    "yolov2.data": GROUND,
    "yolov2.network": GROUND,
    "yolov2.training": DETECTOR,
    "yolov2.runtime": DETECTOR,
    "yolov2.detection": DETECTOR | {"yolov2.runtime"},
    "yolov2.evaluation": DETECTION,
    "yolov2.export": DETECTION | {"yolov2.evaluation"},
    "yolov2.runs.run": LIBRARY,
    "yolov2.cli": LIBRARY,
    "pipeline": LIBRARY | {"yolov2.cli"},
    "flows": LIBRARY | {"yolov2.cli", "pipeline"},
}
"""The layers, lowest first; within one layer everybody may import everybody, without cycles."""

SAME_LAYER = {
    "yolov2.config.section": "yolov2.config.model",
    "yolov2.config.train": "yolov2.config.model",
    "yolov2.config.augment": "yolov2.config.model",
    "yolov2.config.export": "yolov2.config.model",
    "yolov2.yaml_aliases": "yolov2.config.model",
    "yolov2.termination": "yolov2.boxes",
    "yolov2.runs.inputs": "yolov2.runs.run",
    "yolov2.runs.assembly": "yolov2.runs.run",
    "yolov2.runs.durable": "yolov2.runs.run",
    "yolov2.runs.records": "yolov2.runs.run",
    "yolov2.runs.saved_states": "yolov2.runs.run",
    "yolov2.runs.folder": "yolov2.runs.run",
    "yolov2.commands": "yolov2.cli",
    "yolov2.__main__": "yolov2.cli",
}
"""Modules that form one layer with another of a different name."""

THIRD_PARTY: dict[str, tuple[str, ...]] = {
    "mlflow": (
        "pipeline.tracking.store",
        "pipeline.tracking.connection",
        "pipeline.tracking.model_files",
        "pipeline.registry.package",
        "pipeline.serving.model",
    ),
    "prefect": ("flows",),
    "great_expectations": ("pipeline.validation.expectations",),
    "onnxruntime": ("yolov2.runtime.session", "yolov2.export.quantise"),
    "dvc": ("pipeline",),
    "sklearn": ("pipeline",),
    "scipy": ("pipeline",),
    "markdown": ("pipeline",),
}
"""Which modules (and what is below them) may import the product; everybody else may not."""

WHERE_USED = frozenset(
    {"pycocotools", "hotcoco", "onnx", "onnxruntime", "onnxscript", "matplotlib", "cv2"}
)
"""What ``yolov2`` imports inside the functions that use it, so that it loads without."""


def layer(module: str) -> str | None:
    """The layer that ``module`` belongs to; None for one that the tables above do not know."""
    for name, home in (*SAME_LAYER.items(), *((name, name) for name in MAY_IMPORT)):
        if _below(module, name):
            return home
    return None


def wrong_directions(tree: Tree) -> list[str]:
    """Imports of ours that point upwards or sideways, and modules that have no layer."""
    found = [
        f"{tree.relative(module)}: belongs to no layer; add it to tests/architecture/rules.py"
        for module in sorted(tree.files)
        if layer(module) is None and not (tree.is_package(module) and module == "yolov2")
    ]
    for statement in tree.imports:
        source, target = layer(statement.module), layer(statement.target)
        if source and target and target != source and target not in MAY_IMPORT[source]:
            found.append(
                f"{tree.where(statement)}: {source} must not import {target}"
                f" (imports {statement.target})"
            )
    return found


def wrong_products(tree: Tree) -> list[str]:
    """Imports of MLflow, Prefect and the like outside the files that may know them."""
    found = []
    for statement in tree.imports:
        product = statement.target.split(".")[0]
        homes = THIRD_PARTY.get(product)
        if homes is not None and not any(_below(statement.module, home) for home in homes):
            found.append(f"{tree.where(statement)}: only {', '.join(homes)} may import {product}")
        if product == "dvc" and not _below(statement.target, "dvc.api"):
            found.append(f"{tree.where(statement)}: of dvc only dvc.api may be imported")
        if _is_early(statement):
            found.append(f"{tree.where(statement)}: import {product} in the function that uses it")
    return found


def dangling_imports(tree: Tree) -> list[str]:
    """Imports of modules of ours that do not exist."""
    return [
        f"{tree.where(statement)}: {statement.target} does not exist"
        for statement in tree.imports
        if statement.target.split(".")[0] in PACKAGES and statement.target not in tree.files
    ]


def import_cycles(tree: Tree) -> list[str]:
    """Modules that import each other, directly or round a corner."""
    return [f"import cycle: {' <-> '.join(group)}" for group in cycles(tree)]


def filled_packages(tree: Tree) -> list[str]:
    """Folders without ``__init__.py``, and ``__init__.py`` files that are not empty."""
    found = []
    for module, path in sorted(tree.files.items()):
        if tree.is_package(module):
            if path.read_bytes():
                found.append(f"{tree.relative(module)}: must be empty")
        elif not (path.parent / "__init__.py").exists():
            found.append(f"{tree.relative(module)}: its folder has no (empty) __init__.py")
    return found


def long_code(tree: Tree) -> list[str]:
    """Modules and functions that are too long to read."""
    found = []
    for module, path in sorted(tree.files.items()):
        text = path.read_text(encoding="utf-8")
        lines = len(text.splitlines())
        if lines > MODULE_LINES:
            found.append(f"{tree.relative(module)}: {lines} lines, at most {MODULE_LINES}")
        for function, size in _functions(ast.parse(text)):
            if size > FUNCTION_LINES:
                found.append(
                    f"{tree.relative(module)}:{function.lineno}: {function.name} has {size}"
                    f" lines without its docstring, at most {FUNCTION_LINES}"
                )
    return found


def _functions(
    tree: ast.Module,
) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = _span(node)
            if ast.get_docstring(node, clean=False) is not None:
                lines -= _span(node.body[0])
            yield node, lines


def _span(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _is_early(statement: Import) -> bool:
    return (
        _below(statement.module, PACKAGES[0])
        and statement.place == "module"
        and statement.target.split(".")[0] in WHERE_USED
    )


def _below(module: str, parent: str) -> bool:
    return module == parent or module.startswith(f"{parent}.")
