"""The rules of the house: who may import whom, no cycles, empty packages, small files.

Each check returns its findings as sentences, ``path:line`` first; no finding, empty list.
"""

import ast
from collections.abc import Iterator

from tests.architecture.imports import PACKAGES, Import, Tree, cycles

MODULE_LINES = 300
FUNCTION_LINES = 40
"""Most lines of a function without its docstring, which shall not be short for this rule."""

GROUND = frozenset(
    {"yolov2.config", "yolov2.boxes", "yolov2.files", "yolov2.termination", "yolov2.yaml_aliases"}
    | {"yolov2.command_line"}
)
DETECTOR = GROUND | {"yolov2.data", "yolov2.network"}
DETECTION = DETECTOR | {"yolov2.runtime", "yolov2.detection"}
LIBRARY = DETECTION | {"yolov2.evaluation", "yolov2.export", "yolov2.training", "yolov2.runs"}

# pipeline/: what computes, what records, what decides
BASE = LIBRARY | {"pipeline.paths", "pipeline.pages", "pipeline.running"}
SETTINGS = BASE | {"pipeline.params", "pipeline.labels"}
WORKSPACE = SETTINGS | {
    "pipeline.workspace",
    "pipeline.checkpoints",
    "pipeline.pictures",
}
STAGE = WORKSPACE | {"pipeline.scenes", "pipeline.validation"}
RECORDED = WORKSPACE | {"pipeline.tracking"}
REGISTERED = RECORDED | {"pipeline.registry"}
COMPARED = REGISTERED | {"pipeline.comparison"}
ROOMS = COMPARED | {
    "pipeline.promotion",
    "pipeline.reproduction",
    "pipeline.serving",
    "pipeline.data",
    "pipeline.drift",
    "pipeline.sweep",
}
OVERVIEW = ROOMS | {"pipeline.overview"}

PEOPLE = SETTINGS | {"pipeline.workspace", "pipeline.tracking"}
STEPS = PEOPLE | {"flows.people", "flows.steps"}
"""Flows start the pipeline's commands as programs; of its code they use little."""

MAY_IMPORT: dict[str, frozenset[str]] = {
    "yolov2.config": frozenset(),
    "yolov2.boxes": frozenset(),
    "yolov2.files": frozenset(),
    "yolov2.termination": frozenset(),
    "yolov2.command_line": frozenset(),
    "yolov2.yaml_aliases": frozenset(),
    "yolov2.data": GROUND,
    "yolov2.network": GROUND,
    "yolov2.training": DETECTOR,
    "yolov2.runtime": DETECTOR,
    "yolov2.detection": DETECTOR | {"yolov2.runtime"},
    "yolov2.evaluation": DETECTION,
    "yolov2.export": DETECTION | {"yolov2.evaluation"},
    "yolov2.runs": LIBRARY,
    "yolov2.commands": LIBRARY,
    "yolov2.cli": LIBRARY | {"yolov2.commands"},
    "yolov2.__main__": frozenset({"yolov2.cli"}),
    "pipeline.paths": frozenset(),
    "pipeline.pages": GROUND | {"pipeline.paths"},
    "pipeline.running": GROUND | {"pipeline.paths"},
    "pipeline.labels": BASE,
    "pipeline.params": BASE | {"pipeline.labels"},
    "pipeline.pictures": SETTINGS | {"pipeline.labels"},
    "pipeline.checkpoints": SETTINGS,
    "pipeline.workspace": SETTINGS,
    "pipeline.scenes": SETTINGS,
    "pipeline.validation": SETTINGS,
    "pipeline.drift": WORKSPACE,
    "pipeline.data": WORKSPACE,
    "pipeline.digits": STAGE,
    "pipeline.links": STAGE,
    "pipeline.validate": STAGE,
    "pipeline.anchors": STAGE,
    "pipeline.train": STAGE,
    "pipeline.evaluate": STAGE,
    "pipeline.export": STAGE,
    "pipeline.report": STAGE,
    "pipeline.tracking": WORKSPACE,
    "pipeline.registry": RECORDED,
    "pipeline.comparison": REGISTERED,
    "pipeline.reproduction": REGISTERED,
    "pipeline.serving": REGISTERED,
    "pipeline.promotion": COMPARED,
    "pipeline.sweep": RECORDED,
    "deploy": RECORDED,
    "pipeline.overview": ROOMS,
    "pipeline.commands": OVERVIEW | {"pipeline.scenes"},
    "pipeline.cli": OVERVIEW | {"pipeline.commands"},
    "pipeline.__main__": frozenset({"pipeline.cli"}),
    "flows.people": PEOPLE,
    "flows.steps": STEPS,
    "flows.server": STEPS,
    "flows.trials": STEPS | {"pipeline.sweep", "pipeline.checkpoints"},
}
"""Every folder (and file at the top of a package): which others it may import.

Within a folder everybody may import everybody, without cycles. What has no entry is a flow or a
program beside it, at the top of ``flows``: those may import all of ``flows``.
"""

TOP_OF_FLOWS = STEPS | {"flows.server", "flows.trials", "pipeline.sweep", "flows"}

THIRD_PARTY: dict[str, tuple[str, ...]] = {
    "mlflow": ("pipeline.tracking", "pipeline.registry", "pipeline.serving"),
    "prefect": ("flows",),
    "great_expectations": ("pipeline.validation",),
    "onnxruntime": ("yolov2.runtime.session", "yolov2.export.quantise"),
    "dvc": ("pipeline.workspace",),
    "sklearn": ("pipeline",),
    "scipy": ("pipeline",),
    "markdown": ("pipeline",),
}
"""Which folders may import the product; everybody else may not."""

WHERE_USED = frozenset(
    {"pycocotools", "hotcoco", "onnx", "onnxruntime", "onnxscript", "matplotlib", "cv2"}
)
"""What ``yolov2`` imports inside the functions that use it, so that it loads without."""


def room(module: str) -> str | None:
    """The entry of ``MAY_IMPORT`` that ``module`` belongs to; ``flows`` for one at its top."""
    parts = module.split(".")
    name = parts[0] if parts[0] == "deploy" else ".".join(parts[:2])
    if name in MAY_IMPORT:
        return name
    return "flows" if parts[0] == "flows" else None


def wrong_directions(tree: Tree) -> list[str]:
    """Imports of ours that point upwards or sideways, and modules that belong to no room."""
    found = [
        f"{tree.relative(module)}: belongs to no room; add it to tests/architecture/rules.py"
        for module in sorted(tree.files)
        if room(module) is None and module not in PACKAGES
    ]
    for statement in tree.imports:
        source, target = room(statement.module), room(statement.target)
        if source and target and target != source:
            allowed = TOP_OF_FLOWS if source == "flows" else MAY_IMPORT[source]
            if target not in allowed:
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


def idle_programs(tree: Tree) -> list[str]:
    """Modules of ours that are started as ``python -m MODULE`` and would do nothing."""
    found = []
    for module, path in sorted(tree.files.items()):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for name in _started(node):
                ran = f"{name}.__main__" if f"{name}.__main__" in tree.files else name
                file = tree.files.get(ran)
                if file is None or '__name__ == "__main__"' not in file.read_text(encoding="utf-8"):
                    line = getattr(node, "lineno", 0)
                    found.append(f"{tree.relative(module)}:{line}: {name} is no program")
    return found


def _started(node: ast.AST) -> list[str]:
    """What of ours stands after ``-m`` in a list of words."""
    if not isinstance(node, ast.List):
        return []
    words = [word.value if isinstance(word, ast.Constant) else None for word in node.elts]
    after = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "-m"]
    return [name for name in after if isinstance(name, str) and name.split(".")[0] in PACKAGES]


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
