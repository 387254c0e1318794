"""Stage ``train``: train YOLOv2, log the run to MLflow as it goes, keep checkpoints to resume.

With ``train.devices`` above 1 the stage starts itself again under ``torchrun``, a process a
device, of which the first writes and logs.
"""

import json
import os
import shutil
import sys
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from pipeline import paths
from pipeline.checkpoints import (
    LOGGED,
    RUN,
    checkpoint_root,
    code_version,
    forget_old_trainings,
    logged,
)
from pipeline.labels import check_split
from pipeline.params.schema import Params, load
from pipeline.running.entry import run_stage
from pipeline.tracking.delivery import Delivery
from pipeline.tracking.identity import collect_identity
from pipeline.tracking.runs import check_reachable, open_training_run
from pipeline.tracking.training import WEIGHTS_TAG
from yolov2.data.batches.dataset import DetectionDataset
from yolov2.data.batches.plan import first_draws
from yolov2.data.description import read_description
from yolov2.data.table import LabelTables
from yolov2.detection.contact_sheet import contact_sheet
from yolov2.network.device import resolve_device
from yolov2.runs.folder import BEST, HASHES, HISTORY, LAST, SPEED, STEPS, write_json
from yolov2.runs.inputs import TrainingInputs
from yolov2.runs.run import finished, train_run
from yolov2.training.curves import plot_training_curves
from yolov2.training.reports import EpochReport, Notice, Saved, describe

PREVIEW = "preview.png"
PREVIEWED = 16
"""Images of the contact sheet that is logged before the training begins."""


def main() -> None:
    """Train, or go on with an interrupted training of the same fingerprint."""
    params = load()
    inputs = _inputs(params)
    code = code_version()
    key = inputs.fingerprint(code)
    folder = checkpoint_root() / key[:16]
    complete = finished(folder, key)
    if params.train.devices > 1 and not complete and "TORCHELASTIC_RUN_ID" not in os.environ:
        _start_processes(params.train.devices)
    if int(os.environ.get("RANK", "0")) > 0:
        for _ in train_run(inputs, folder, code=code, resume=True):
            pass
        return
    check_reachable(params.tracking)
    check_split(inputs.tables, params.evaluate.split)
    resolve_device(params.train.device)
    if complete and logged(folder):
        print(f"this training is complete in {folder}: taking its result (delete it to retrain)")
    else:
        _train(params, inputs, folder, code=code, key=key)
    _publish(folder)
    forget_old_trainings(folder)


def _start_processes(devices: int) -> None:
    """Become ``torchrun``, which starts this stage once for each device."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    stage = [f"--nproc-per-node={devices}", "-m", "pipeline.train"]
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // devices)))
    os.execv(sys.executable, launcher + stage)


def _inputs(params: Params) -> TrainingInputs:
    anchors = json.loads(paths.ANCHORS.read_text(encoding="utf-8"))["anchors"]
    return TrainingInputs(
        tables=LabelTables.read(paths.ARTIFACTS),
        root=read_description(Path(params.data.config)).root,
        anchors=tuple((float(w), float(h)) for w, h in anchors),
        model=params.model,
        train=params.train,
    )


def _train(params: Params, inputs: TrainingInputs, folder: Path, *, code: str, key: str) -> None:
    run_file = folder / RUN
    run_id = json.loads(run_file.read_text())["run_id"] if run_file.exists() else None
    if (folder / LAST).exists():
        print(f"going on with the training in {folder}")
    with open_training_run(
        params.tracking,
        parameters=asdict(params),
        key=key,
        run_id=run_id,
        identity=collect_identity("train"),
    ) as run:
        record = _run_record(params, run.run_id, run.model_id, key)
        write_json(run_file, record)
        delivery = Delivery(run, folder)
        delivery.enclose(_preview(inputs, folder))
        if not finished(folder, key):
            delivery.send()
            _follow(inputs, folder, delivery, code)
        plot_training_curves(pd.read_csv(folder / HISTORY), folder / "curves.png")
        delivery.enclose(*_results(folder))
        delivery.finish()
        hashes = json.loads((folder / HASHES).read_text(encoding="utf-8"))
        run.mark({WEIGHTS_TAG: hashes["weights"]})
    write_json(run_file, record | LOGGED)


def _follow(inputs: TrainingInputs, folder: Path, delivery: Delivery, code: str) -> None:
    """Train, tell people, and pass on to MLflow what is safely on disk."""
    bar = partial(tqdm, disable=None, leave=False, unit="step")
    about = {"run_id": delivery.run.run_id}
    events = train_run(inputs, folder, code=code, resume=True, progress=bar, about=about)
    assert isinstance(events, Generator)
    try:
        with closing(events):
            for event in events:
                if isinstance(event, EpochReport):
                    print(describe(event), flush=True)
                elif isinstance(event, Notice):
                    print(event.text, flush=True)
                    delivery.note(f"step {event.step}: {event.text}")
                elif isinstance(event, Saved):
                    delivery.send()
    except BaseException:
        delivery.send()  # what the checkpoint of the last whole step has added
        raise


def _preview(inputs: TrainingInputs, folder: Path) -> Path:
    """What the network will see, for people, before a day is lost to a wrong label."""
    path = folder / PREVIEW
    if (folder / LAST).exists():
        return path
    config, side = inputs.train, inputs.model.image_size
    dataset = DetectionDataset(
        inputs.tables, inputs.root, "train", side, augment=config.augment, seed=config.seed
    )
    draws = first_draws(len(dataset), side, config, PREVIEWED)
    contact_sheet(dataset, draws).save(path)
    return path


def _run_record(params: Params, run_id: str, model_id: str, key: str) -> dict[str, object]:
    return {
        "run_id": run_id,
        "model_id": model_id,
        "key": key,
        "experiment": params.tracking.experiment,
        "parameters": asdict(params),
    }


def _results(folder: Path) -> Iterable[Path]:
    names = (BEST, LAST, HISTORY, STEPS, SPEED, "curves.png", "parameters.json", "environment.json")
    return [folder / name for name in names]


def _publish(folder: Path) -> None:
    """Copy the results to where DVC expects the stage's outputs."""
    copies = {
        BEST: paths.BEST,
        LAST: paths.LAST,
        HISTORY: paths.HISTORY,
        "curves.png": paths.TRAIN_REPORT / "curves.png",
        RUN: paths.TRAIN_RUN,
    }
    for name, target in copies.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, target)


if __name__ == "__main__":
    run_stage(main)
