"""Stage ``train``: train YOLOv2, keep checkpoints to resume, leave the rest to the recorder.

With ``train.devices`` above 1 the stage starts itself again under ``torchrun``, a process a
device, of which the first writes.
"""

import json
import os
import shutil
import sys
from collections.abc import Generator
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline import paths
from pipeline.checkpoints import RECORDING, checkpoint_folder, forget_old_trainings
from pipeline.labels import Labels, read_labels
from pipeline.params.reading import read_section
from pipeline.running.entry import run_stage
from pipeline.running.recorder import Recorder, Status, add_notice, begin, is_sent, store_checked
from pipeline.workspace.dvc_files import code_version
from pipeline.workspace.inputs import Inputs
from yolov2.config.data import DataConfig
from yolov2.config.evaluate import EvaluateConfig
from yolov2.config.machine import MachineConfig
from yolov2.config.model import ModelConfig
from yolov2.config.train import TrainConfig
from yolov2.files import write_json
from yolov2.network.checkpoint import load_detector, save_checkpoint
from yolov2.network.device import resolve_device, use_threads
from yolov2.runs.folder import BEST, HASHES, HISTORY, LAST
from yolov2.runs.inputs import TrainingInputs
from yolov2.runs.run import finished, train_run
from yolov2.termination import Terminated
from yolov2.training.reports import EpochReport, Notice, Saved, epoch_line

STAGE = "train"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The sections of ``params.yaml`` that this stage reads."""

    data: DataConfig
    model: ModelConfig
    train: TrainConfig
    machine: MachineConfig

    @classmethod
    def read(cls) -> "Settings":
        """As ``params.yaml`` has them."""
        return cls(
            data=read_section("data", DataConfig),
            model=read_section("model", ModelConfig),
            train=read_section("train", TrainConfig),
            machine=read_section("machine", MachineConfig),
        )


def main() -> None:
    """Train, or go on with an interrupted training of the same fingerprint.

    Raises:
        InputsChangedError: what it reads was edited meanwhile; what was learnt stays.
    """
    read = Inputs.of(STAGE)
    settings = Settings.read()
    use_threads(settings.machine.threads)  # before the run's identity tells their number
    is_first = int(os.environ.get("RANK", "0")) == 0
    with store_checked() if is_first else nullcontext():
        labels = read_labels(settings.data)
        inputs = _inputs(settings, labels)
        code = code_version(STAGE)
        key = inputs.fingerprint(code)
    folder = checkpoint_folder(key)
    complete = finished(folder, key)
    if not is_first:
        for _ in train_run(inputs, folder, code=code, resume=True):
            pass
        return
    if settings.train.devices > 1 and not complete and "TORCHELASTIC_RUN_ID" not in os.environ:
        _start_processes(settings.train.devices)
    labels.check_split(read_section("evaluate", EvaluateConfig).split)
    resolve_device(settings.machine.device)
    if complete and is_sent(folder / RECORDING):
        print(f"this training is complete in {folder}: taking its result (delete it to retrain)")
    else:
        _train(settings, inputs, folder, code=code, key=key)
    read.require_unchanged()
    _publish(inputs, folder)
    forget_old_trainings(folder)
    read.require_unchanged()


def _start_processes(devices: int) -> None:
    """Become ``torchrun``, which starts this stage once for each device."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    stage = [f"--nproc-per-node={devices}", "-m", "pipeline.train"]
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // devices)))
    os.execv(sys.executable, launcher + stage)


def _inputs(settings: Settings, labels: Labels) -> TrainingInputs:
    anchors = json.loads(paths.ANCHORS.read_text(encoding="utf-8"))["anchors"]
    return TrainingInputs(
        tables=labels.tables,
        root=labels.root,
        anchors=tuple((float(w), float(h)) for w, h in anchors),
        model=settings.model,
        train=settings.train,
        machine=settings.machine,
    )


def _train(
    settings: Settings, inputs: TrainingInputs, folder: Path, *, code: str, key: str
) -> None:
    """Train what is left, while the recorder follows in the folder."""
    if (folder / LAST).exists():
        print(f"going on with the training in {folder}")
    recorder = Recorder(folder=folder / RECORDING, program="follow")
    begin(recorder.folder, STAGE, {"key": key, "parameters": asdict(settings)})
    recorder.start()
    status: Status = "FAILED"
    try:
        if not finished(folder, key):
            _follow(inputs, folder, recorder, code)
        status = "FINISHED"
    except (KeyboardInterrupt, Terminated):
        status = "KILLED"
        raise
    finally:
        recorder.finish(status)


def _follow(inputs: TrainingInputs, folder: Path, recorder: Recorder, code: str) -> None:
    """Train and tell people; what is safely on disk, the recorder passes on."""
    bar = partial(tqdm, disable=None, leave=False, unit="step")
    events = train_run(inputs, folder, code=code, resume=True, progress=bar)
    assert isinstance(events, Generator)
    with closing(events):
        for event in events:
            if isinstance(event, EpochReport):
                print(epoch_line(event), flush=True)
            elif isinstance(event, Notice):
                print(event.text, flush=True)
                add_notice(folder, f"step {event.step}: {event.text}")
            elif isinstance(event, Saved):
                recorder.keep_alive()


def _publish(inputs: TrainingInputs, folder: Path) -> None:
    """Put the results where DVC expects the stage's outputs: only what the inputs decide."""
    for path in (paths.BEST, paths.HISTORY):
        path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / BEST, paths.BEST)
    shutil.copyfile(folder / HISTORY, paths.HISTORY)
    last = load_detector(folder / LAST)
    save_checkpoint(
        paths.LAST,
        last.network,
        class_names=last.class_names,
        image_size=last.image_size,
    )
    write_json(paths.TRAINING, _known_by(inputs, folder))


def _known_by(inputs: TrainingInputs, folder: Path) -> dict[str, Any]:
    hashes = json.loads((folder / HASHES).read_text(encoding="utf-8"))
    parameters = inputs.parameters()
    del parameters["machine"]
    return {
        "key": hashes["fingerprint"],
        "weights": hashes["weights"],
        "data": hashes["data"],
        "parameters": parameters,
    }


if __name__ == "__main__":
    run_stage(main, options=False)
