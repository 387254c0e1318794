"""The stages of a tiny pipeline, as programs: ``python -m tests.pipeline.traced train``."""

import hashlib
import json
import sys
from typing import Any

from ruamel.yaml import YAML

from pipeline import paths
from pipeline.params.reading import read_section
from pipeline.params.tracking import TrackingConfig
from pipeline.running.entry import run_stage
from pipeline.tracking.runs import open_training_run
from pipeline.workspace.handover import Handover
from pipeline.workspace.identity import collect_identity
from tests.pipeline.tracked import sha256, write_json

DVC_YAML = """\
stages:
  train:
    cmd: python -m tests.pipeline.traced train
    params: [train.lr]
    outs: [artifacts/training.json]
  evaluate:
    cmd: python -m tests.pipeline.traced evaluate
    deps: [artifacts/training.json]
    params: [evaluate.seed]
    outs: [reports/metrics.json]
"""
EXPORT = """\
  export:
    cmd: python -m tests.pipeline.traced export
    deps: [artifacts/training.json]
    outs: [reports/export.json]
"""


def main() -> None:
    """Record what the stage named on the command line would record, without computing anything."""
    stage = sys.argv[1]
    settings: dict[str, Any] = YAML(typ="safe").load(paths.PARAMS.read_text())
    if stage == "train":
        _train({"train": {"lr": settings["train"]["lr"]}})
        return
    training = json.loads(paths.TRAINING.read_text())
    result = {"evaluate": paths.METRICS, "export": paths.EXPORT}[stage]
    own = {"evaluate": {"split": "test", "seed": settings["evaluate"]["seed"]}}
    figures = {"AP": 0.5, "AP50": 0.75}
    with Handover.of(stage, own) as handover:
        write_json(result, **figures, seed=own["evaluate"]["seed"])
        handover.done(
            training=training,
            metrics=figures,
            digest=sha256(result),
            files=[result],
            tags={"seed.seen": str(own["evaluate"]["seed"])},
        )


def _train(settings: dict[str, Any]) -> None:
    key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
    config, identity = read_section("tracking", TrackingConfig), collect_identity("train")
    with open_training_run(config, parameters=settings, key=key, identity=identity):
        pass
    write_json(paths.TRAINING, key=key, parameters=settings)


if __name__ == "__main__":
    run_stage(main)
