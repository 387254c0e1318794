"""The stages of a tiny pipeline, as programs: ``python -m tests.pipeline.traced train``."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline import paths
from pipeline.params.schema import load
from pipeline.running.entry import run_stage
from pipeline.tracking.runs import log_evaluation, log_export, open_training_run
from pipeline.workspace.identity import collect_identity
from tests.pipeline.tracked import write_json

DVC_YAML = """\
stages:
  train:
    cmd: python -m tests.pipeline.traced train
    params: [train.lr]
    outs: [artifacts/train_run.json]
  evaluate:
    cmd: python -m tests.pipeline.traced evaluate
    deps: [artifacts/train_run.json]
    params: [evaluate.seed]
    outs: [artifacts/evaluate_run.json]
"""
EXPORT = """\
  export:
    cmd: python -m tests.pipeline.traced export
    deps: [artifacts/train_run.json]
    outs: [artifacts/export_run.json]
"""


def main() -> None:
    """Log what the stage named on the command line would log, without computing anything."""
    stage, config = sys.argv[1], load().tracking
    settings: dict[str, Any] = YAML(typ="safe").load(paths.PARAMS.read_text())
    train = {"train": {"lr": settings["train"]["lr"]}}
    if stage == "train":
        key = hashlib.sha256(json.dumps(train).encode()).hexdigest()
        identity = collect_identity(stage)
        with open_training_run(config, parameters=train, key=key, identity=identity) as run:
            pass
        about = {"run_id": run.run_id, "model_id": run.model_id, "key": key, "parameters": train}
        write_json(paths.TRAIN_RUN, **about)
        return
    training = json.loads(paths.TRAIN_RUN.read_text())
    about = {"training_run": training, "artifacts": (), "identity": collect_identity(stage)}
    own = {"evaluate": {"split": "test", "seed": settings["evaluate"]["seed"]}}
    log, record = {
        "evaluate": (log_evaluation, paths.EVALUATE_RUN),
        "export": (log_export, paths.EXPORT_RUN),
    }[stage]
    figures = {"AP": 0.5, "AP50": 0.75}
    run_id = log(config, parameters=training["parameters"] | own, metrics=figures, **about)
    write_json(Path(record), run_id=run_id, training_run_id=training["run_id"])


if __name__ == "__main__":
    run_stage(main)
