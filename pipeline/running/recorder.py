"""The recorder, from the side of a stage: another program tells MLflow what the stage computes.

A stage writes a *recording*, a folder in the main repository that outlives the stage's own:
``start.json`` (what is known at the start), what the stage adds, ``ended.json``. The program
(``pipeline.tracking.follow`` or ``.record``) reads it, and leaves ``sent.json`` when MLflow has all
of it. All that collects, draws and tells is a program that is started here and never imported, so
that it can change without making a result stale; and nothing here fails a stage that has begun to
compute: where a file cannot be written, or no process be started, a line says so.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfile, rmtree
from typing import Any, Literal
from uuid import uuid4

from pipeline.paths import project_root
from yolov2.files import write_json, write_text

RECORDINGS = Path("recordings")
"""Folder of the main repository: what evaluations and exports have left to be told."""
START, RESULT, ENDED, SENT = "start.json", "result.json", "ended.json", "sent.json"
FILES = "files"
RUN = "run.json"
"""What a recording is in MLflow: the run's id, and of a training its model's."""
NOTICES = "notices.md"
"""What people are told of a training while it runs, in the training's folder."""

Program = Literal["follow", "record"]
Status = Literal["FINISHED", "FAILED", "KILLED"]

STORE_AWAY = 75
"""Exit status of a program to which the store does not answer (sysexits.h: EX_TEMPFAIL)."""
PATIENCE = 300.0
"""Seconds that a stage which has ended well waits until MLflow has all of it."""
HURRY = 20.0
"""The same for one that has failed or is to end."""
RESTARTS = 3
"""How often a program that ends by itself is started again; one that was killed always is."""
POLL = 0.2
_NOT_OURS = ("DVC_STAGE", "PIPELINE_FAILURE_RECORD")
"""A program that a stage starts is not the stage, and must not speak for it."""


class StoreError(ValueError):
    """The store of runs cannot be used; ``passing`` says that it may be in a minute."""

    def __init__(self, text: str, *, passing: bool) -> None:
        super().__init__(text)
        self.passing = passing


@contextmanager
def store_checked() -> Iterator[None]:
    """Ask whether runs can be stored, while the block reads what a stage needs to begin.

    Raises:
        StoreError: at the end, they cannot; one sentence that names the store and what to do.
    """
    process = _start("pipeline.tracking.check", stderr=subprocess.PIPE)
    with process:
        try:
            yield
        except BaseException:
            process.kill()
            raise
        _, said = process.communicate()
    if process.returncode:
        raise StoreError(_last_line(said), passing=process.returncode == STORE_AWAY)


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
        """Have the program work on the recording; where it cannot, that is said."""
        self.process = None
        with _told():
            self.process = _start(f"pipeline.tracking.{self.program}", str(self.folder))

    def keep_alive(self) -> bool:
        """Start the program again if it has died; whether something is at work now.

        An error is repeated a few times only, and a store that is away is not asked again.
        """
        alive = False
        with _told():
            alive = self._keep_alive()
        return alive

    def _keep_alive(self) -> bool:
        status = 0 if self.process is None else self.process.poll()
        if status is None:
            return True
        if is_sent(self.folder) or status == STORE_AWAY or self.restarts == RESTARTS:
            return False
        self.restarts += status >= 0  # below: a signal's number
        self.start()
        return True

    def finish(self, status: Status, patience: float | None = None) -> None:
        """Say how the stage ended, and wait until MLflow has all of it, at most ``patience`` s.

        What is left then stays in the recording; who needs the run sends it.
        """
        if patience is None:
            patience = PATIENCE if status == "FINISHED" else HURRY
        with _told():
            self._finish(status, patience)

    def _finish(self, status: Status, patience: float) -> None:
        write_json(self.folder / ENDED, {"status": status})
        end = time.monotonic() + patience
        while not is_sent(self.folder) and time.monotonic() < end and self.keep_alive():
            time.sleep(POLL)
        if not is_sent(self.folder):
            print(
                f"not all is in MLflow yet; it waits in {self.folder}: `pipeline track send` sends"
                " it, and so does the next stage",
                file=sys.stderr,
            )
        elif self.process is not None:
            with suppress(subprocess.TimeoutExpired):  # it looks whether something else waits
                self.process.wait(HURRY)


def begin(folder: Path, stage: str, about: Mapping[str, Any]) -> None:
    """Have the recording's ``start.json`` written: ``about``, the stage's identity, who it is.

    Raises:
        ValueError: it cannot be written; the stage has not begun to compute.
    """
    for name in (RESULT, ENDED, SENT):
        (folder / name).unlink(missing_ok=True)
    own = {"stage": stage, "command": shlex.join(sys.orig_argv), "hardware": torch_here()}
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    program = _start("pipeline.tracking.begin", str(folder), **pipes)
    _, said = program.communicate(json.dumps({**about, **own}).encode())
    if program.returncode:
        raise ValueError(f"what is recorded cannot be begun: {_last_line(said)}")


def torch_here() -> dict[str, str]:
    """What a process that has loaded torch can tell of its machine; others must not wait for it."""
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    facts = {"threads": str(torch.get_num_threads())}
    if torch.cuda.is_available():
        facts |= {"gpu": torch.cuda.get_device_name(), "cuda": str(torch.version.cuda)}
    return facts


def new_folder(stage: str) -> Path:
    """A folder for the recording of a stage that makes a run each time."""
    name = f"{stage}-{time.strftime('%Y%m%d-%H%M%S')}-{uuid4().hex[:6]}"
    return project_root() / RECORDINGS / name


def hand_over(folder: Path, result: Mapping[str, Any], files: Mapping[str, Path]) -> bool:
    """Add what a stage has computed: plain values, and copies of files by their place.

    Whether it could be written; the recording has come to nothing if not.
    """
    written = False
    with _told():
        for name, file in files.items():
            target = folder / FILES / name
            target.parent.mkdir(parents=True, exist_ok=True)
            copyfile(file, target)
        write_json(folder / RESULT, result)
        written = True
    if not written:
        drop(folder)
    return written


def drop(folder: Path) -> None:
    """Remove a recording that comes to nothing."""
    rmtree(folder, ignore_errors=True)


def read(folder: Path, name: str) -> dict[str, Any]:
    """A JSON file of a recording; empty where it is not there."""
    try:
        return dict(json.loads((folder / name).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}


def is_sent(folder: Path) -> bool:
    """Whether MLflow has all of a recording as it was begun last."""
    sent = read(folder, SENT)
    return bool(sent) and sent.get("began") == read(folder, START).get("began")


def wait_until_sent(folder: Path, patience: float = HURRY) -> bool:
    """Whether MLflow has all of a recording, asked again for ``patience`` seconds."""
    end = time.monotonic() + patience
    while not is_sent(folder) and time.monotonic() < end:
        time.sleep(POLL)
    return is_sent(folder)


def read_notices(folder: Path) -> str:
    """All notices of a training, a paragraph each."""
    file = folder / NOTICES
    return file.read_text(encoding="utf-8") if file.exists() else ""


def add_notice(folder: Path, text: str) -> None:
    """Keep ``text``; a step that is repeated may tell it again."""
    with _told():
        told = read_notices(folder)
        if text not in told.split("\n\n"):
            write_text(folder / NOTICES, f"{told}{text}\n\n")


@contextmanager
def _told() -> Iterator[None]:
    """Say what the system refuses, and go on: what is computed counts more than its recording."""
    try:
        yield
    except OSError as error:
        print(f"this cannot be recorded: {error}", file=sys.stderr)


def _last_line(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines() or ["no reason given"]
    return lines[-1].removeprefix("error: ")


def _start(module: str, *arguments: str, **more: Any) -> "subprocess.Popen[bytes]":
    environment = {n: value for n, value in os.environ.items() if n not in _NOT_OURS}
    command = [sys.executable, "-m", module, *arguments]
    pipes = {"stdin": subprocess.DEVNULL, **more}
    return subprocess.Popen(command, env=environment, **pipes)
