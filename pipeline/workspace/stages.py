"""What DVC knows of the pipeline, in the work tree or at a commit: stages, what they read, records.

``dvc.lock`` says what each stage has read, ``dvc status`` whether that is still so.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.workspace.dvc import attempt, complaint
from pipeline.workspace.dvc_files import parse_yaml
from pipeline.workspace.revision import SHORT, Place

RECORDS = {"train": paths.TRAINING, "evaluate": paths.METRICS, "export": paths.EXPORT}
"""By stage: the output by which the MLflow run of its execution is known."""
OLD_RECORDS = {
    "train": paths.ARTIFACTS / "train_run.json",
    "evaluate": paths.ARTIFACTS / "evaluate_run.json",
    "export": paths.ARTIFACTS / "export_run.json",
}
"""The files in which version 0.1 kept the run's id."""

FRESH, STALE, RECORDED, NEVER = "up to date", "stale", "as recorded", "never ran"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage as ``dvc.lock`` has it.

    ``why`` says what makes it stale, ``code`` is a digest over the digests of its ``files``
    ``.py`` dependencies, ``data`` the other dependencies' digests by path. ``record`` is by what
    its run is known: ``key`` of a training, ``result`` (sha256 of the output) of what follows with
    that of its training, of version 0.1 the ``run_id``; None for a stage without a run, empty where
    the file is not at hand.
    """

    name: str
    state: str
    why: str = ""
    code: str = ""
    files: int = 0
    data: Mapping[str, str] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()
    record: Mapping[str, Any] | None = None


def stages(where: Place) -> list[Stage]:
    """The stages in the order of ``dvc.yaml``.

    Raises:
        ValueError: there is no pipeline.
    """
    text = where.text(Path("dvc.yaml"))
    if text is None:
        at = f" at {where.commit[:SHORT]}" if where.commit else ": run from the repository's root"
        raise ValueError(f"no dvc.yaml{at}")
    lock = dict((parse_yaml(where.text(Path("dvc.lock")) or "") or {}).get("stages") or {})
    changed = _changed() if where.commit is None else None
    behind = _behind(lock, changed or {})
    return [
        _stage(name, lock.get(name), where, _state(name, lock, changed, behind))
        for name in (parse_yaml(text) or {}).get("stages") or {}
    ]


def _stage(
    name: str, locked: Mapping[str, Any] | None, where: Place, state: tuple[str, str]
) -> Stage:
    if locked is None:
        return Stage(name=name, state=NEVER)
    read = locked.get("deps", ())
    deps = {os.path.normpath(dep["path"]): str(dep.get("md5", "")) for dep in read}
    code = {path: md5 for path, md5 in deps.items() if path.endswith(".py")}
    digest = hashlib.sha256(json.dumps(code, sort_keys=True).encode()).hexdigest()
    return Stage(
        name=name,
        state=state[0],
        why=state[1],
        code=digest[:SHORT] if code else "",
        files=len(code),
        data={path: md5[:SHORT] for path, md5 in deps.items() if path not in code},
        parameters=tuple(n for values in locked.get("params", {}).values() for n in values),
        record=_record(where, name, locked) if name in RECORDS else None,
    )


def _record(where: Place, name: str, locked: Mapping[str, Any]) -> Mapping[str, Any]:
    outs = {Path(out["path"]) for out in locked.get("outs", ())}
    if OLD_RECORDS[name] in outs:
        text = where.output(OLD_RECORDS[name])
        return dict(json.loads(text)) if text else {}
    text = where.output(RECORDS[name])
    if not text:
        return {}
    trained = text if name == "train" else where.output(paths.TRAINING)
    key = {"key": str(json.loads(trained)["key"])} if trained else {}
    own = {} if name == "train" else {"result": hashlib.sha256(text.encode()).hexdigest()}
    return own | key


def _state(
    name: str,
    lock: Mapping[str, Any],
    changed: Mapping[str, Any] | None,
    behind: Mapping[str, str],
) -> tuple[str, str]:
    if changed is None:
        return RECORDED, ""
    if name in changed:
        return STALE, _why(changed[name])
    if name in behind:
        return STALE, f"comes after {behind[name]}"
    return (FRESH, "") if name in lock else (NEVER, "")


def _behind(lock: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, str]:
    """Stages that DVC will look at again because one before them is stale: which one."""
    makers = {out["path"]: name for name in lock for out in lock[name].get("outs", ())}
    found: dict[str, str] = {}
    for _ in lock:  # as often as a chain can be long
        for name, stage in lock.items():
            before = (makers.get(dep["path"], "") for dep in stage.get("deps", ()))
            stale = next((b for b in before if b in changed or b in found), None)
            if stale and name not in changed:
                found.setdefault(name, stale)
    return found


def _why(entries: Iterable[Any]) -> str:
    """``changed deps: a (modified), b (deleted) and 3 more`` of what ``dvc status`` says."""
    told = []
    for entry in entries:
        if not isinstance(entry, Mapping):
            told.append(str(entry))
            continue
        for kind, items in entry.items():
            named = []
            for path, what in dict(items).items():  # of a parameter file: what by parameter
                each = what if isinstance(what, Mapping) else {path: what}
                named += [f"{name} ({how})" for name, how in each.items()]
            more = f" and {len(named) - 2} more" if len(named) > 2 else ""
            told.append(f"{kind}: {', '.join(named[:2])}{more}")
    return "; ".join(told)


def _changed() -> dict[str, Any]:
    """What ``dvc status`` has to say, by stage.

    Raises:
        ValueError: it cannot tell, as while another DVC command holds the repository's lock.
    """
    done = attempt(Path(), os.environ | {"DVC_NO_ANALYTICS": "1"}, "status", "--json")
    if done.returncode:
        raise ValueError(f"`dvc status` failed: {complaint(done)}; try again when no stage runs")
    return not_up_to_date(done.stdout.splitlines())


def not_up_to_date(lines: Sequence[str]) -> dict[str, Any]:
    """What ``dvc status --json`` has said, but for stages that run each time, whatever changed."""
    told = next((line for line in reversed(lines) if line.startswith("{")), "{}")
    return {name: why for name, why in json.loads(told).items() if why != ["always changed"]}
