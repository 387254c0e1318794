"""Where the stages leave what they make, relative to the repository's root.

``dvc.yaml`` names the same files as dependencies and outputs; a stage runs in the root.
"""

import os
from pathlib import Path

PARAMS = Path("params.yaml")

ARTIFACTS = Path("artifacts")
LABELS = ARTIFACTS / "labels.parquet"
IMAGES = ARTIFACTS / "images.parquet"
DATASET = ARTIFACTS / "dataset.json"
LINKS = ARTIFACTS / "links.json"
ANCHORS = ARTIFACTS / "anchors.json"
TRAINING = ARTIFACTS / "training.json"
"""By what the training is known again: its key, the hash of its weights, what decided them."""

MODELS = Path("models")
BEST = MODELS / "best.pt"
LAST = MODELS / "last.pt"
# beside its checkpoint, so that `yolov2 detect --weights models/best.pt` finds it
THRESHOLDS = MODELS / "thresholds.json"
EXPORTED = MODELS / "exported"
ONNX = EXPORTED / "model.onnx"
TORCHSCRIPT = EXPORTED / "model.torchscript"

REPORTS = Path("reports")
VALIDATION = REPORTS / "validation.json"
DATA_DOCS = REPORTS / "data_docs"
ANCHORS_TABLE = REPORTS / "anchors.csv"
ANCHORS_PLOT = REPORTS / "anchors.png"
TRAIN_REPORT = REPORTS / "train"
HISTORY = TRAIN_REPORT / "history.csv"
CURVES = TRAIN_REPORT / "curves.png"
METRICS = REPORTS / "metrics.json"
EVALUATE_REPORT = REPORTS / "evaluate"
EXPORT = REPORTS / "export.json"
EXPORT_TABLE = REPORTS / "export.md"


def project_root() -> Path:
    """The main repository: ``DVC_ROOT``, else the nearest folder upwards with a ``dvc.yaml``.

    DVC runs queued and temporary experiments in copies of the repository, which it removes, and
    names the main one in ``DVC_ROOT``: what is to last longer lies there.
    """
    given = os.environ.get("DVC_ROOT")
    if given:
        return Path(given).resolve()
    here = Path.cwd()
    return next((p for p in (here, *here.parents) if (p / "dvc.yaml").exists()), here)
