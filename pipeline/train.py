"""Stage ``train``: train YOLOv2, log the run to MLflow as it goes, keep checkpoints to resume.

Checkpoints live in ``checkpoints/<fingerprint>/`` of the main repository, not among DVC's
outputs: DVC deletes those before a stage runs. The fingerprint covers data, settings and code,
so a training that was killed goes on if and only if nothing that matters has changed.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML
from tqdm import tqdm

from pipeline import paths
from pipeline.identity import collect_identity
from pipeline.params.schema import Params, load
from pipeline.splits import check_split
from pipeline.stage import run_stage
from pipeline.tracking import check_reachable, open_training_run
from yolov2.data.description import read_description
from yolov2.data.table import LabelTables
from yolov2.network.device import resolve_device
from yolov2.run_folder import BEST, HISTORY, LAST, write_json
from yolov2.runs import TrainingInputs, finished, train_run
from yolov2.training.curves import plot_training_curves
from yolov2.training.loop import EpochReport

KEPT_TRAININGS = 3
"""Finished trainings whose checkpoint folders stay; older ones are removed."""
RUN = "train_run.json"


def main() -> None:
    """Train, or go on with a killed training of the same fingerprint."""
    params = load()
    check_reachable(params.tracking)
    inputs = _inputs(params)
    check_split(inputs.tables, params.evaluate.split)
    resolve_device(params.train.device)
    code = code_version()
    key = inputs.fingerprint(code)
    folder = checkpoint_root() / key[:16]
    if finished(folder, key) and _logged(folder):
        print(f"this training is complete in {folder}: taking its result (delete it to retrain)")
    else:
        _train(params, inputs, folder, code=code, key=key)
    _publish(folder)
    _forget_old_trainings(folder)


def code_version(dvc_file: Path = Path("dvc.yaml")) -> str:
    """sha256 over the ``.py`` files that the stage depends on, as ``dvc.yaml`` lists them."""
    stage = YAML(typ="safe").load(dvc_file.read_text(encoding="utf-8"))["stages"]["train"]
    digest = hashlib.sha256()
    for name in sorted(name for name in stage["deps"] if name.endswith(".py")):
        digest.update(name.encode() + b"\0" + Path(name).read_bytes())
    return digest.hexdigest()


def checkpoint_root() -> Path:
    """``checkpoints/`` of the main repository, also in DVC's temporary experiment folders."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve() / "checkpoints"


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
    resuming = (folder / LAST).exists()
    run_id = json.loads(run_file.read_text())["run_id"] if resuming and run_file.exists() else None
    if resuming:
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
        if resuming:
            run.log_history(folder / HISTORY)
        bar = partial(tqdm, disable=None, leave=False, unit="batch")
        for report in train_run(inputs, folder, code=code, resume=True, progress=bar):
            run.log_epoch(report)
            print(describe(report), flush=True)
        _plot(folder)
        run.log_artifacts(_results(folder), "training")
    write_json(run_file, record | {"logged": True})


def _logged(folder: Path) -> bool:
    """Whether the run in MLflow was closed too; a kill may come between the two."""
    return "logged" in json.loads((folder / RUN).read_text(encoding="utf-8"))


def _run_record(params: Params, run_id: str, model_id: str, key: str) -> dict[str, object]:
    return {
        "run_id": run_id,
        "model_id": model_id,
        "key": key,
        "experiment": params.tracking.experiment,
        "parameters": asdict(params),
    }


def describe(report: EpochReport) -> str:
    """One line for people: where training stands."""
    losses = "  ".join(f"{name} {value:.3f}" for name, value in report.losses.items())
    line = f"epoch {report.epoch}/{report.epochs}  {losses}  {report.images_per_second:.0f} img/s"
    if report.collisions:
        line += f"  {report.collisions} boxes lost their slot"
    if report.validation is not None:
        best = " (best)" if report.is_best else ""
        line += f"  val AP {report.validation['AP']:.3f} AP50 {report.validation['AP50']:.3f}{best}"
    return line


def _plot(folder: Path) -> None:
    plot_training_curves(pd.read_csv(folder / HISTORY), folder / "curves.png")


def _results(folder: Path) -> Iterable[Path]:
    names = (BEST, LAST, HISTORY, "curves.png", "parameters.json", "environment.json")
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


def _forget_old_trainings(current: Path) -> None:
    """Remove finished trainings but the newest few; unfinished ones may still be resumed."""
    done = [path.parent for path in current.parent.glob("*/hashes.json")]
    done.sort(key=lambda folder: (folder / "hashes.json").stat().st_mtime, reverse=True)
    for folder in done[KEPT_TRAININGS:]:
        if folder != current:
            shutil.rmtree(folder)


if __name__ == "__main__":
    run_stage(main)
