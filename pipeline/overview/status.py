"""Where everything stands: data, stages, the last run, the champion, what waits, disk used."""

import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.checkpoints import CHECKPOINTS, recorded_trainings
from pipeline.params.schema import Params, load
from pipeline.promotion.standing import standing
from pipeline.registry.models import CHAMPION
from pipeline.running.files import read_json
from pipeline.running.recorder import RECORDINGS
from pipeline.tracking.address import TrackingError, database_file, tracking_uri, without_password
from pipeline.tracking.recordings import pending
from pipeline.workspace.dvc import cache_of
from pipeline.workspace.revision import place
from pipeline.workspace.stages import FRESH, NEVER, stages

FREED_BY = {
    "DVC cache": "dvc gc --workspace --all-commits --all-experiments (what none of these names"
    " goes)",
    "MLflow": "mlflow gc, after runs were deleted on its pages",
}


def status() -> dict[str, Any]:
    """Everything, as plain data; ``to_do`` has a sentence for each thing that is left.

    Raises:
        ValueError: no pipeline here, or ``params.yaml`` is wrong.
    """
    params = load()
    told = [{"name": one.name, "state": one.state, "why": one.why} for one in stages(place(None))]
    found: dict[str, Any] = {"data": _data(params), "stages": told, "last": _last()}
    found["store"], held = _registry(params)
    found |= held
    found["disk"] = _disk()
    found["free"] = {"checkpoints": _free_checkpoints()} | FREED_BY
    found["to_do"] = _to_do(found)
    return found


def render(found: dict[str, Any]) -> str:
    """The same for people."""
    data, last = found["data"], found["last"]
    fresh = [one["name"] for one in found["stages"] if one["state"] == FRESH]
    counts = f": {data['counts']}" if data["counts"] else ""
    if counts and "validate" not in fresh:
        counts += ", when it was validated last"
    lines = [f"data       {data['config']}{counts}"]
    lines.append(f"stages     up to date: {', '.join(fresh) or 'none'}")
    lines += [
        f"           {one['name']}: {one['state']}{' (' + one['why'] + ')' if one['why'] else ''}"
        for one in found["stages"]
        if one["state"] != FRESH
    ]
    lines.append(f"last run   {last or 'nothing was evaluated here yet'}")
    lines.append(f"champion   {found['champion'] or 'none'}")
    lines.append(f"runs       {found['store']}")
    for name, size in found["disk"].items():
        lines.append(f"disk       {name} {_size(size)}; free it: {found['free'][name]}")
    lines += [f"to do      {each}" for each in found["to_do"]] or ["to do      nothing"]
    return "\n".join(lines)


def _data(params: Params) -> dict[str, Any]:
    counts = ""
    if paths.DATASET.is_file():
        table = read_json(paths.DATASET, "`dvc repro validate`")
        each = table.get("splits", {}).items()
        counts = ", ".join(f"{split} {one['images']} images" for split, one in each)
    return {"config": params.data.config, "counts": counts}


def _last() -> str:
    if not paths.METRICS.is_file():
        return ""
    metrics = read_json(paths.METRICS, "`dvc repro evaluate`")
    return f"{metrics['split']} AP {metrics['AP']:.3f}, AP50 {metrics['AP50']:.3f}"


def _registry(params: Params) -> tuple[str, dict[str, Any]]:
    """The store, and what the registry in it says."""
    held: dict[str, Any] = {"champion": "", "waits": ""}
    try:
        uri = tracking_uri()
        known = standing(params)
    except TrackingError as error:
        return str(error), held
    champion = known.aliases.get(CHAMPION)
    if champion is not None:
        tags = champion.tags
        held["champion"] = (
            f"version {champion.number}, {tags.get('split', '')} AP {tags.get('AP', 'unknown')}"
        )
    held["waits"] = known.sentence if known.pending else ""
    file = database_file(uri)
    return without_password(uri) if file is None or file.exists() else "no store yet", held


def _to_do(found: dict[str, Any]) -> list[str]:
    stale = [one["name"] for one in found["stages"] if one["state"] != FRESH]
    never = all(one["state"] == NEVER for one in found["stages"])
    told = []
    if stale:
        told.append(f"dvc repro ({'nothing ran yet' if never else 'stale: ' + ', '.join(stale)})")
    if found["waits"]:
        told.append(found["waits"])
    waiting = len(pending())
    if waiting:
        told.append(f"pipeline track send ({waiting} recordings that MLflow may lack)")
    return told


def _disk() -> dict[str, int]:
    root = paths.project_root()
    places = {"checkpoints": [root / CHECKPOINTS, root / RECORDINGS]}
    if (root / ".dvc").is_dir():
        places["DVC cache"] = [cache_of(root, dict(os.environ))]
    places["MLflow"] = _store_files()
    return {name: sum(map(_bytes, folders)) for name, folders in places.items()}


def _free_checkpoints() -> str:
    """What removes the trainings whose results DVC and MLflow have; one that can go on stays."""
    done = recorded_trainings(paths.project_root() / CHECKPOINTS)
    if not done:
        return "nothing to remove, no training is finished and recorded"
    return f"rm -r {shlex.join(map(os.path.relpath, done))} (finished and recorded)"


def _store_files() -> list[Path]:
    """The store's file and folder, where it is one on this machine."""
    with suppress(TrackingError):
        file = database_file(tracking_uri())
        if file is not None:
            return [file, file.parent / "mlartifacts"]
    return []


def _bytes(place: Path) -> int:
    """Bytes of a file, or of all files below a folder; what goes meanwhile does not count."""
    below = [os.path.join(folder, name) for folder, _, names in os.walk(place) for name in names]
    total = 0
    for file in below if place.is_dir() else [place]:
        with suppress(FileNotFoundError):
            total += os.lstat(file).st_size
    return total


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
