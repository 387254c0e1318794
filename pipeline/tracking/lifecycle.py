"""How a run begins and ends in MLflow: what describes it, and the status that it is left with."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pipeline.tracking import layout, marks
from pipeline.tracking.fingerprint import fingerprint
from pipeline.tracking.origin import NOTE, describe_origin, origin_tags
from pipeline.tracking.store import Store
from pipeline.workspace.identity import RunIdentity
from yolov2.termination import Terminated, terminable, undisturbed

IDENTITY = "identity"
"""Folder of the files in a run that say what it was made from."""
IDENTITY_FILE = "identity.json"
PATCH_FILE = "uncommitted.patch"
FINISHED = "FINISHED"


def begin(
    store: Store, settings: Mapping[str, Any], tags: Mapping[str, str], it: RunIdentity
) -> Any:
    """A new run, whose name, colour and tag ``changed`` tell it from the one before of its stage.

    ``settings`` are nested, ``tags`` those of ``run_tags`` and others.
    """
    name, more = _told_apart(store, settings, tags, it)
    return store.begin_run(name, {**tags, **more})


def begin_below(
    store: Store,
    training: tuple[str, str],
    settings: Mapping[str, Any],
    tags: Mapping[str, str],
    it: RunIdentity,
    headline: str = "",
) -> Any:
    """The same below a training (its run and its model), and described: where that came from."""
    parent, model_id = training
    known = store.client.get_run(parent).data.tags
    name, more = _told_apart(store, settings, tags, it)
    own = {**tags, **more, "mlflow.parentRunId": parent, "model_id": model_id}
    own |= origin_tags(parent, known, it)
    own[NOTE] = describe_origin(store.experiment_id, known, own, headline)
    return store.begin_run(name, own)


def _told_apart(
    store: Store, settings: Mapping[str, Any], tags: Mapping[str, str], it: RunIdentity
) -> tuple[str, dict[str, str]]:
    """The name of a new run, and tags: what was changed since the run before, another colour."""
    before = store.find_finished({"stage": tags["stage"]})
    more = {marks.COLOUR: marks.next_colour(before.data.tags if before else {})}
    found = None
    if before is not None:
        now, old = layout.flatten(settings), before.data
        found = marks.changes(old.params, now, old.tags, tags)
        more[marks.SINCE] = str(before.info.run_id)
    more[marks.CHANGED] = marks.sentence(found)
    return marks.run_name(tags["stage"], tags["dvc.key"], it, found), more


def write_description(
    store: Store, run: Any, settings: Mapping[str, Any], tags: Mapping[str, str], it: RunIdentity
) -> None:
    """Tags and parameters, and the full identity as files."""
    run_id = run.info.run_id
    store.set_tags(run_id, tags)  # before the status: whoever reaps sees a living process
    store.client.update_run(run_id, status="RUNNING")
    store.set_tags(run_id, _known_by(store, tags, settings, it))
    store.log_parameters(run, layout.flatten(settings))
    about = {
        "parameters.json": json.dumps(settings, indent=2),
        IDENTITY_FILE: json.dumps(it.as_dict(), indent=2),
        **it.files,
    }
    if it.patch:
        about[PATCH_FILE] = it.patch
    for name, text in about.items():
        store.log_text(run_id, text, name, IDENTITY)


def _known_by(
    store: Store, tags: Mapping[str, str], settings: Mapping[str, Any], it: RunIdentity
) -> dict[str, str]:
    """The run's fingerprint, and the first finished run that had the same.

    The run itself is RUNNING by now, so it is not found.
    """
    stage = tags["stage"]
    mark = fingerprint(stage, tags["dvc.key"], it, settings)
    if mark is None:
        return {}
    same = store.find_finished({"stage": stage, "fingerprint": mark}, oldest=True)
    repeated = {} if same is None else {"repeat_of": str(same.info.run_id)}
    return {"fingerprint": mark, **repeated}


@contextmanager
def ending(
    store: Store, run_id: str, status_of: Callable[[], str] = lambda: FINISHED
) -> Iterator[None]:
    """Write how the run ended, whatever ends it: ``status_of`` says it of a good end."""
    status, cause = "FAILED", None
    try:
        with terminable():
            yield
        status = status_of()
    except BaseException as error:
        cause = error
        if isinstance(error, KeyboardInterrupt | Terminated):
            status = "KILLED"
        raise
    finally:
        with undisturbed():
            store.end(run_id, status, cause)
