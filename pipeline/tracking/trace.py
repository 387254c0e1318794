"""For each stage, what it read and which MLflow run made its outputs.

A stage that DVC took from its cache makes no run; its output tells of the run that once made it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pipeline.params.tracking import TrackingConfig
from pipeline.tracking.address import TrackingError, database_file, tracking_uri
from pipeline.tracking.connection import connect
from pipeline.tracking.follow import follow
from pipeline.tracking.links import page_root, run_link
from pipeline.tracking.origin import ORIGIN, RUN, SAME_CALL
from pipeline.tracking.recordings import is_pending, send_pending
from pipeline.tracking.store import Store
from pipeline.workspace.revision import place
from pipeline.workspace.stages import Stage, stages

HERE, TWIN, ELSEWHERE, NO_RECORD = "here", "twin", "elsewhere", "no record"
WAITS = "waits"
_SAID = {
    WAITS: "not in the store of runs yet: it waits here, `pipeline track send` sends it",
    ELSEWHERE: "only in the record: made on another machine; `pipeline register` or the"
    " next evaluation imports it",
    NO_RECORD: "its record is not here: `dvc checkout`, `dvc pull`, or it was not tracked then",
}


@dataclass(frozen=True, kw_only=True)
class Made:
    """The MLflow run that made a stage's outputs.

    ``where``: this store has it, or a ``twin`` of it (imported, or of the same key), or it
    ``waits`` in a recording of this folder, or it is only in the record. ``origin`` and
    ``training`` say where the run's training came from.
    """

    where: str
    run_id: str = ""
    name: str = ""
    status: str = ""
    began: str = ""
    link: str = ""
    recorded: str = ""
    origin: str = ""
    training: str = ""


def trace(config: TrackingConfig, rev: str | None = None) -> dict[str, Any]:
    """The stages with their runs, as plain data.

    Raises:
        ValueError: no such revision, no pipeline, or DVC cannot tell.
    """
    where = place(rev)
    store, excuse = _open(config)
    told = [asdict(stage) | {"run": _run(store, stage)} for stage in stages(where)]
    for stage in told:
        del stage["record"]
    return {"rev": rev, "commit": where.commit, "store": excuse or page_root(tracking_uri()),
            "stages": told}  # fmt: skip


def _open(config: TrackingConfig) -> tuple[Store | None, str]:
    """The store, told what waits here, or why there is none.

    Looking must not make one, and works without.
    """
    try:
        file = database_file(tracking_uri())
        if file is not None and not file.exists():
            return None, f"no store yet: {file} does not exist"
        send_pending(follow, wait=True)
        return connect(config.experiment), ""
    except TrackingError as error:
        return None, str(error)


def _run(store: Store | None, stage: Stage) -> dict[str, str] | None:
    """What is known of the run that made a stage's outputs; None for stages that have none."""
    if stage.record is None:
        return None
    if not stage.record:
        return asdict(Made(where=NO_RECORD))
    recorded = str(stage.record.get("run_id") or stage.record.get("result") or stage.record["key"])
    run = None
    if store is not None:
        run = _recorded(store, stage.name, stage.record)
    if run is None or store is None:
        where = WAITS if is_pending(stage.name, stage.record) else ELSEWHERE
        return asdict(Made(where=where, recorded=recorded))
    run_id, tags = str(run.info.run_id), run.data.tags
    began = datetime.fromtimestamp(run.info.start_time / 1000).astimezone()
    made = Made(
        where=TWIN
        if tags.get("imported") or stage.record.get("run_id", run_id) != run_id
        else HERE,
        run_id=run_id,
        name=str(run.info.run_name),
        status=str(run.info.status),
        began=began.isoformat(sep=" ", timespec="minutes"),
        link=run_link(store.experiment_id, run_id, page_root(store.uri)),
        recorded=recorded,
        origin=tags.get(ORIGIN, ""),
        training=tags.get(RUN, ""),
    )
    return asdict(made)


def _recorded(store: Store, stage: str, record: Mapping[str, Any]) -> Any:
    """The run that a record tells of, or one that stands for it in this store."""
    named, key = record.get("run_id"), record.get("key")
    of_key = {"dvc.key": str(key)} if key else {}
    if "result" in record:
        return store.find_original({"stage": stage, "result": str(record["result"]), **of_key})
    if named:
        found = store.find_run(str(named))
        return (
            found
            or store.find_finished({"stage": stage, "imported.run_id": str(named)})
            or (store.find_finished({"stage": stage, **of_key}) if key else None)
        )
    return store.find_original({"stage": stage, **of_key})


def render(found: dict[str, Any]) -> str:
    """The same for people."""
    at = f"{found['rev']} ({found['commit'][:8]})" if found["commit"] else "the work tree"
    lines = [f"{at}; runs: {found['store']}"]
    for stage in found["stages"]:
        why = f" ({stage['why']})" if stage["why"] else ""
        lines += ["", f"{stage['name']}: {stage['state']}{why}"]
        read = [f"code {stage['code']} ({stage['files']} files)"] if stage["code"] else []
        read += [f"{path} {digest}" for path, digest in stage["data"].items()]
        read += [f"params {', '.join(stage['parameters'])}"] if stage["parameters"] else []
        lines += [f"  read  {each}" for each in read]
        lines += _run_lines(stage["run"])
    return "\n".join(lines)


def _run_lines(run: dict[str, str] | None) -> list[str]:
    if run is None:
        return []
    if run["where"] in _SAID:
        return [f"  run   {' '.join(filter(None, (run['recorded'], _SAID[run['where']])))}"]
    lines = [f"  run   {run['name']} {run['run_id']}, {run['began']}, {run['status']}"]
    lines.append(f"        {run['link']}")
    if run["where"] == TWIN:
        lines.append(f"        imported: it stands for {run['recorded']} of another store")
    if run["origin"]:
        same = run["origin"] == SAME_CALL
        word = "trained by the same call of dvc" if same else "training taken from DVC's cache"
        lines.append(f"        {word}: {run['training']}")
    return lines
