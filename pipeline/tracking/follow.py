"""``python -m pipeline.tracking.follow FOLDER``: a training's run in MLflow, while it trains.

Started by the stage ``train``. It reads what the training leaves in its run folder: tables with
every checkpoint, notices, files at the end. When the stage has ended, or died, it sends what is
left and closes the run.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from pipeline.checkpoints import CURVES, PREVIEW
from pipeline.running.entry import run_stage
from pipeline.running.recorder import ENDED, NOTICES, POLL, RUN, STORE_AWAY, is_sent, read
from pipeline.tracking.address import UnreachableError
from pipeline.tracking.delivery import PAUSE, Delivery
from pipeline.tracking.recordings import Recording, alone, try_to_send
from pipeline.tracking.runs import open_training_run
from pipeline.tracking.training import TABLES, WEIGHTS_TAG, TrainingRun
from yolov2.files import write_json
from yolov2.runs.folder import BEST, ENVIRONMENT, HASHES, HISTORY, LAST, PARAMETERS, SPEED, STEPS

LAST_TRIES = 5
PREVIEW_SECONDS = 60.0
RESULTS = (BEST, LAST, HISTORY, STEPS, SPEED, CURVES, PARAMETERS, ENVIRONMENT)


def main() -> int:
    """Follow the training whose recording the command line names, then send what else waits."""
    # Ctrl-C and the end of a flow reach all processes of the group; the stage saves a checkpoint
    # then, of which MLflow is to be told
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    folder = Path(sys.argv[1])
    with alone(folder, wait=True):
        if is_sent(folder):
            return 0
        try:
            follow(folder)
        except UnreachableError as error:
            print(error, file=sys.stderr)
            return STORE_AWAY
    try_to_send(follow)
    return 0


def follow(folder: Path) -> None:
    """Send a training's figures until its stage has ended, and then the rest.

    Raises:
        TrackingError: the store cannot be used, and the stage has ended.
    """
    recording = Recording.open(folder)
    tries = 0
    with _preview(recording) as preview:  # first: it takes longer than to reach the store
        while True:
            try:
                _follow(recording, preview)
                return
            except UnreachableError:
                tries = 0 if _at_work(recording) else tries + 1
                if tries == LAST_TRIES or recording.goes_on():
                    raise
                time.sleep(PAUSE * 2 ** max(0, tries - 1))


def _follow(recording: Recording, preview: "subprocess.Popen[bytes] | None") -> None:
    known = _run_id(recording)
    with open_training_run(
        recording.config,
        parameters=recording.parameters,
        key=str(recording.about["key"]),
        run_id=known,
        identity=recording.identity,
        tags={"recording": recording.id},
    ) as run:
        write_json(recording.folder / RUN, {"run_id": run.run_id, "model_id": run.model_id})
        delivery = Delivery(run, recording.folder.parent)
        while _at_work(recording):
            if preview and preview.poll() is not None:
                delivery.enclose(recording.folder.parent / PREVIEW)
                preview = None
            if _changed(recording.folder.parent, delivery):
                delivery.send()
            time.sleep(POLL)
        run.status = recording.ended() or "KILLED"
        if preview:
            _await(preview, PREVIEW_SECONDS if run.status == "FINISHED" else 0.0)
        _finish(recording.folder.parent, run, delivery)
    recording.sent(run.run_id)


def _finish(folder: Path, run: TrainingRun, delivery: Delivery) -> None:
    """What is left; of a training that is complete also its files."""
    if run.status == "FINISHED":
        _draw_curves(folder)
        delivery.enclose(*(folder / name for name in (PREVIEW, *RESULTS)))
    delivery.finish()
    if run.status == "FINISHED":
        run.mark({WEIGHTS_TAG: str(read(folder, HASHES)["weights"])})


def _at_work(recording: Recording) -> bool:
    return not (recording.folder / ENDED).exists() and recording.stage_lives()


def _run_id(recording: Recording) -> str | None:
    return read(recording.folder, RUN).get("run_id")


def _changed(folder: Path, delivery: Delivery) -> bool:
    """Whether there is something to send that was not there at the last look."""
    files = [folder / name for name in (*TABLES, NOTICES)]
    seen = tuple(file.stat().st_mtime_ns for file in files if file.exists())
    moved = seen != delivery.seen or bool(delivery.enclosed) or delivery.failures > 0
    delivery.seen = seen
    return moved


@contextmanager
def _preview(recording: Recording) -> Iterator["subprocess.Popen[bytes] | None"]:
    """What the network will see, drawn by a process of its own: it needs torch and its memory."""
    if (recording.folder.parent / PREVIEW).exists() or not recording.data_is_here():
        yield None
        return
    command = [sys.executable, "-m", "pipeline.tracking.preview", str(recording.folder)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as preview:
        try:
            yield preview
        finally:
            preview.kill()  # if it has not ended by now, nobody waits for it


def _await(preview: "subprocess.Popen[bytes]", seconds: float) -> None:
    """A training that was shorter than the drawing waits for it, but not for ever.

    One that is to end does not: whoever ends it gives all of its processes half a minute.
    """
    try:
        preview.wait(seconds)
    except subprocess.TimeoutExpired:
        preview.kill()
        preview.wait()


def _draw_curves(folder: Path) -> None:
    from yolov2.training.curves import plot_training_curves

    plot_training_curves(pd.read_csv(folder / HISTORY), folder / CURVES)


if __name__ == "__main__":
    run_stage(main)
