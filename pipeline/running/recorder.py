"""The recorder, from the side of a stage: another program tells MLflow what the stage computes.

A stage writes a *recording*, a folder in the main repository that outlives the stage's own:
``start.json`` (what is known at the start), what the stage adds, ``ended.json``. The program
(``pipeline.tracking.follow`` or ``.record``) reads it, and leaves ``sent.json`` when MLflow has all
of it. Nothing here imports MLflow, so that what records can change without making a result stale;
and nothing here fails a stage that has begun to compute.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfile, rmtree
from typing import Any, Literal
from uuid import uuid4

from pipeline.paths import project_root
from pipeline.running import processes
from yolov2.files import write_json

RECORDINGS = Path("recordings")
"""Folder of the main repository: what evaluations and exports have left to be told."""
START, RESULT, ENDED, SENT = "start.json", "result.json", "ended.json", "sent.json"
FILES = "files"
RUN = "run.json"
"""What a recording is in MLflow: the run's id, and of a training its model's."""

Program = Literal["follow", "record"]
Status = Literal["FINISHED", "FAILED", "KILLED"]

STORE_AWAY = 75
"""Exit status of a program to which the store does not answer (sysexits.h: EX_TEMPFAIL)."""
PATIENCE = 300.0
"""Seconds that a stage which has ended well waits until MLflow has all of it."""
HURRY = 20.0
"""The same for one that has failed or is to end."""
RESTARTS = 3
POLL = 0.2
_NOT_OURS = ("DVC_STAGE", "PIPELINE_FAILURE_RECORD")
"""A program that a stage starts is not the stage, and must not speak for it."""


class StoreError(ValueError):
    """The store of runs cannot be used; ``passing`` says that it may be in a minute."""

    def __init__(self, text: str, *, passing: bool) -> None:
        super().__init__(text)
        self.passing = passing


class StoreCheck:
    """Whether runs can be stored: asked at once, answered when it is waited for.

    Raises:
        StoreError: from ``wait``; one sentence that names the store and what to do.
    """

    def __init__(self) -> None:
        self.process = _start("pipeline.tracking.check", stderr=subprocess.PIPE)

    def wait(self) -> None:
        """Return if the store answers."""
        _, said = self.process.communicate()
        if self.process.returncode:
            lines = said.decode(errors="replace").strip().splitlines() or ["no reason given"]
            away = self.process.returncode == STORE_AWAY
            raise StoreError(lines[-1].removeprefix("error: "), passing=away)


@dataclass(kw_only=True)
class Recorder:
    """A recording and the program that works on it.

    Args:
        folder: the recording.
        program: what reads it.
    """

    folder: Path
    program: Program
    process: "subprocess.Popen[bytes] | None" = None
    restarts: int = field(default=0)

    def start(self) -> None:
        """Have the program work on the recording."""
        self.process = _start(f"pipeline.tracking.{self.program}", str(self.folder))

    def keep_alive(self) -> None:
        """Start the program again if it has died; a few times, so that no error is repeated."""
        if self.process is None or self.process.poll() is None or self.restarts == RESTARTS:
            return
        if not (self.folder / SENT).exists():
            self.restarts += 1
            self.start()

    def finish(self, status: Status, patience: float | None = None) -> None:
        """Say how the stage ended, and wait until MLflow has all of it, at most ``patience`` s.

        What is left then stays in the recording; who needs the run sends it.
        """
        write_json(self.folder / ENDED, {"status": status})
        if patience is None:
            patience = PATIENCE if status == "FINISHED" else HURRY
        end = time.monotonic() + patience
        while not (self.folder / SENT).exists() and time.monotonic() < end:
            if self.process is None or self.process.poll() is not None:
                if self.restarts == RESTARTS or self._store_is_away():
                    break
                self.keep_alive()
            time.sleep(POLL)
        if not (self.folder / SENT).exists():
            print(
                f"not all is in MLflow yet; it waits in {self.folder}: `pipeline track send` sends"
                " it, and so does the next stage",
                file=sys.stderr,
            )
        elif self.process is not None:
            self.process.wait()

    def _store_is_away(self) -> bool:
        return self.process is not None and self.process.poll() == STORE_AWAY


def begin(folder: Path, stage: str, about: Mapping[str, Any]) -> None:
    """Write the recording's ``start.json``: ``about`` and who writes it.

    The ``id`` of a recording that goes on stays: MLflow knows its run by it.
    """
    known = read(folder, START)
    for name in (RESULT, ENDED, SENT):
        (folder / name).unlink(missing_ok=True)
    content = {
        "id": known.get("id") or uuid4().hex,
        "stage": stage,
        "began": time.time(),
        "process": processes.mark(),
        **about,
    }
    write_json(folder / START, content)


def new_folder(stage: str) -> Path:
    """A folder for the recording of a stage that makes a run each time."""
    name = f"{stage}-{time.strftime('%Y%m%d-%H%M%S')}-{uuid4().hex[:6]}"
    return project_root() / RECORDINGS / name


def hand_over(folder: Path, result: Mapping[str, Any], files: Mapping[str, Path]) -> None:
    """Add what a stage has computed: plain values, and copies of files by their place."""
    for name, file in files.items():
        target = folder / FILES / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copyfile(file, target)
    write_json(folder / RESULT, result)


def drop(folder: Path) -> None:
    """Remove a recording that comes to nothing."""
    rmtree(folder, ignore_errors=True)


def read(folder: Path, name: str) -> dict[str, Any]:
    """A JSON file of a recording; empty where it is not there."""
    try:
        return dict(json.loads((folder / name).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}


def wait_until_sent(folder: Path, patience: float = HURRY) -> bool:
    """Whether MLflow has all of a recording, asked again for ``patience`` seconds."""
    end = time.monotonic() + patience
    while not (folder / SENT).exists() and time.monotonic() < end:
        time.sleep(POLL)
    return (folder / SENT).exists()


def _start(module: str, *arguments: str, **more: Any) -> "subprocess.Popen[bytes]":
    environment = {n: value for n, value in os.environ.items() if n not in _NOT_OURS}
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, **more)
