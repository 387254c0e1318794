"""Where the stages leave what they make, relative to the repository's root.

``dvc.yaml`` names the same files as dependencies and outputs; a stage runs in the root.
"""

from pathlib import Path

PARAMS = Path("params.yaml")

ARTIFACTS = Path("artifacts")
LABELS = ARTIFACTS / "labels.parquet"
IMAGES = ARTIFACTS / "images.parquet"
DATASET = ARTIFACTS / "dataset.json"
ANCHORS = ARTIFACTS / "anchors.json"
TRAIN_RUN = ARTIFACTS / "train_run.json"
EVALUATE_RUN = ARTIFACTS / "evaluate_run.json"
EXPORT_RUN = ARTIFACTS / "export_run.json"

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
ANCHORS_PLOT = REPORTS / "anchors.png"
TRAIN_REPORT = REPORTS / "train"
HISTORY = TRAIN_REPORT / "history.csv"
METRICS = REPORTS / "metrics.json"
EVALUATE_REPORT = REPORTS / "evaluate"
EXPORT = REPORTS / "export.json"
EXPORT_TABLE = REPORTS / "export.md"
