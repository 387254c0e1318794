"""Recordings that stages have left: read, and told to MLflow once each.

See ``pipeline/running/recorder.py`` for the side of the stage.
"""

import fcntl
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.checkpoints import CHECKPOINTS, RECORDING
from pipeline.params.tracking import TrackingConfig
from pipeline.paths import DATASET, PARAMS, project_root
from pipeline.running import processes
from pipeline.running.recorder import (
    ENDED,
    FILES,
    RECORDINGS,
    RESULT,
    SENT,
    START,
    drop,
    is_sent,
    read,
)
from pipeline.tracking.address import TrackingError
from pipeline.tracking.runs import log_evaluation, log_export
from pipeline.workspace.dvc_files import parse_yaml
from pipeline.workspace.identity import RunIdentity
from yolov2.files import write_json


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What a stage has written at its start; ``stage_lives`` says whether it is still at work."""

    folder: Path
    id: str
    stage: str
    identity: RunIdentity
    about: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "Recording":
        """The recording in ``folder``.

        Raises:
            ValueError: there is none.
        """
        start = read(folder, START)
        if not start:
            raise ValueError(f"{folder} is no recording: it has no {START}")
        return cls(
            folder=folder,
            id=str(start["id"]),
            stage=str(start["stage"]),
            identity=RunIdentity(**start["identity"]),
            about=start,
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """All settings, nested: those that the stage has read, the others as they are written."""
        text = self.identity.files.get(PARAMS.name, "")
        written = dict(parse_yaml(text) or {})
        return written | dict(self.about.get("parameters", {}))

    @property
    def config(self) -> TrackingConfig:
        """Under which names MLflow files it."""
        return TrackingConfig(**self.parameters.get("tracking", {}))

    def stage_lives(self) -> bool:
        """Whether the stage may still add to it; on another machine that cannot be seen."""
        mark = self.about["process"]
        return not processes.is_here(mark) or processes.is_alive(mark)

    def ended(self) -> str | None:
        """How the stage has ended, None if it has not said so."""
        return read(self.folder, ENDED).get("status")

    def data_is_here(self) -> bool:
        """Whether the current folder has the images and labels that the stage has read."""
        try:
            known = json.loads(DATASET.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return False
        return bool(known.get("digest", {}) == self.identity.data_digest)

    def goes_on(self) -> bool:
        """Whether the stage has been started again since, and this is its recording no longer."""
        return bool(read(self.folder, START).get("began") != self.about["began"])

    def sent(self, run_id: str) -> None:
        """Say that MLflow has all of it."""
        write_json(self.folder / SENT, {"run_id": run_id, "began": self.about["began"]})


@contextmanager
def alone(folder: Path, *, wait: bool = False) -> Iterator[bool]:
    """Whether this process is the only one at work on a recording; the others leave it alone.

    With ``wait`` it becomes that, when the one before it is done.
    """
    with (folder / ".recorder").open("a") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except (BlockingIOError, PermissionError):
            yield False
            return
        yield True


def record(recording: Recording) -> str:
    """Make the run of a finished evaluation or export; its id. A second call makes no second run.

    Raises:
        TrackingError: the store cannot be used; the recording stays as it is.
    """
    result = read(recording.folder, RESULT)
    files = recording.folder / FILES
    if recording.stage == "evaluate" and recording.data_is_here():
        from pipeline.tracking.pictures import add_pictures  # only this draws

        add_pictures(files, recording.about["parameters"])
    log: Callable[..., str] = {"evaluate": log_evaluation, "export": log_export}[recording.stage]
    run_id = log(
        recording.config,
        training_run=result["training"],
        parameters=dict(result["training"]["parameters"]) | recording.parameters,
        metrics=result["metrics"],
        artifacts=sorted(path for path in files.rglob("*") if path.is_file()),
        identity=recording.identity,
        history=recording.folder / result["history"] if result.get("history") else None,
        tags=result.get("tags", {}) | {"recording": recording.id, "result": result["digest"]},
    )
    recording.sent(run_id)
    return run_id


def pending(root: Path | None = None) -> list[Path]:
    """Recordings that MLflow may lack something of, the oldest first."""
    root = root or project_root()
    found = [*(root / RECORDINGS).glob(f"*/{START}")]
    found += (root / CHECKPOINTS).glob(f"*/{RECORDING}/{START}")
    found = [file for file in found if not is_sent(file.parent)]
    return [file.parent for file in sorted(found, key=lambda file: file.stat().st_mtime)]


def is_pending(stage: str, record: Mapping[str, Any]) -> bool:
    """Whether a result of ``stage`` waits to be recorded; ``record`` is by what it is known.

    That is the ``key`` of a training, the ``result`` (sha256 of the output) of what follows.
    """
    for recording in map(Recording.open, pending()):
        if recording.stage != stage:
            continue
        if stage == "train":
            known, wanted = recording.about.get("key"), record.get("key")
        else:
            known, wanted = read(recording.folder, RESULT).get("digest"), record.get("result")
        if wanted and known == wanted:
            return True
    return False


def send_pending(
    follow: Callable[[Path], None], root: Path | None = None, *, wait: bool = False
) -> list[str]:
    """Tell MLflow what stages that have ended left; what was done, a line each.

    ``follow`` sends what is left of a training, ``root`` is the main repository of another folder.
    What another process is sending is left to it, or with ``wait`` waited for. A recording whose
    stage ended before it had a result comes to nothing and is removed.

    Raises:
        TrackingError: the store cannot be used.
    """
    told = []
    for folder in pending(root):
        recording = Recording.open(folder)
        if recording.stage_lives() and recording.ended() is None:
            continue
        with alone(folder, wait=wait) as mine:
            if not mine:
                told.append(f"{recording.stage}: another process is sending what {folder} holds")
                continue
            if is_sent(folder):
                continue
            if recording.stage == "train":
                follow(folder)
            elif (folder / RESULT).exists():
                record(recording)
            else:
                drop(folder)
                continue
        told.append(f"{recording.stage}: sent what {folder} held")
    tidy()
    return told


def tidy(kept: int = 20) -> None:
    """Remove recordings of evaluations and exports that are sent, but the newest few."""
    sent = [*(project_root() / RECORDINGS).glob(f"*/{SENT}")]
    for file in sorted(sent, key=lambda file: file.stat().st_mtime)[:-kept]:
        drop(file.parent)


def try_to_send(follow: Callable[[Path], None]) -> None:
    """The same, when something else was just done well: a store that is away is only told of."""
    try:
        send_pending(follow)
    except TrackingError as error:
        print(f"{error}; what earlier stages have left waits", file=sys.stderr)
