"""``pipeline trace``: for each stage, what it read and which MLflow run made its outputs.

Of the work tree, or with ``--rev`` of a commit or experiment. A stage that DVC took from its
cache makes no run; its record names the run that once made what lies there now.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pipeline.params.schema import TrackingConfig, load
from pipeline.running.entry import run_stage
from pipeline.tracking.address import TrackingError, database_file, tracking_uri
from pipeline.tracking.connection import connect
from pipeline.tracking.links import page_root, run_link
from pipeline.tracking.origin import ORIGIN, RUN, SAME_CALL
from pipeline.tracking.store import Store
from pipeline.workspace.revision import place
from pipeline.workspace.stages import Stage, stages

HERE, TWIN, ELSEWHERE, NO_RECORD = "here", "twin", "elsewhere", "no record"
_SAID = {
    ELSEWHERE: "only in the record: made on another machine; `pipeline register` or the"
    " next evaluation imports it",
    NO_RECORD: "its record is not here: `dvc checkout`, `dvc pull`, or it was not tracked then",
}


@dataclass(frozen=True, kw_only=True)
class Made:
    """The MLflow run that made a stage's outputs.

    ``where``: this store has it, or a ``twin`` of it (imported, or of the same key), or it is
    only in the record. ``origin`` and ``training`` say where the run's training came from.
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Print where the outputs come from."""
    parser = argparse.ArgumentParser(prog="pipeline trace", description=__doc__)
    parser.add_argument("--rev", help="a commit, branch, tag or experiment (default: work tree)")
    parser.add_argument("--json", action="store_true", help="for programs")
    chosen = parser.parse_args(arguments)
    found = trace(load().tracking, chosen.rev)
    if chosen.json:
        print(json.dumps(found, indent=2))
    else:
        print(render(found))


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
    """The store, or why there is none: looking must not make one, and works without."""
    try:
        file = database_file(tracking_uri())
        if file is not None and not file.exists():
            return None, f"no store yet: {file} does not exist"
        return connect(config.experiment), ""
    except TrackingError as error:
        return None, str(error)


def _run(store: Store | None, stage: Stage) -> dict[str, str] | None:
    """What is known of the run that made a stage's outputs; None for stages that have none."""
    if stage.record is None:
        return None
    recorded = str(stage.record.get("run_id", ""))
    if not recorded:
        return asdict(Made(where=NO_RECORD))
    run = None
    if store is not None:
        with store.answering():
            run = store.find_run(recorded) or _twin(store, stage)
    if run is None or store is None:
        return asdict(Made(where=ELSEWHERE, recorded=recorded))
    run_id, tags = str(run.info.run_id), run.data.tags
    began = datetime.fromtimestamp(run.info.start_time / 1000).astimezone()
    made = Made(
        where=HERE if run_id == recorded else TWIN,
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


def _twin(store: Store, stage: Stage) -> Any:
    """The run that stands for a recorded one of another store."""
    recorded, key = str((stage.record or {})["run_id"]), (stage.record or {}).get("key")
    imported = store.find_finished({"stage": stage.name, "imported.run_id": recorded})
    if imported is not None or not key:
        return imported
    return store.find_finished({"stage": stage.name, "dvc.key": str(key)})


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
        lines.append(f"        stands for {run['recorded']} of another store")
    if run["origin"]:
        same = run["origin"] == SAME_CALL
        word = "trained by the same call of dvc" if same else "training taken from DVC's cache"
        lines.append(f"        {word}: {run['training']}")
    return lines


if __name__ == "__main__":
    run_stage(main)
