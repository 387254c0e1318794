"""Stage ``evaluate``: score the best checkpoint, report it, log it as a run of its own.

The score thresholds to detect with are found on the validation split, and never on the one that
is reported.
"""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline import paths
from pipeline.labels import check_split
from pipeline.params.schema import Params, load
from pipeline.running.entry import run_stage
from pipeline.tracking.identity import collect_identity
from pipeline.tracking.runs import check_reachable, log_evaluation
from yolov2.config.evaluate import caution
from yolov2.data.description import read_description
from yolov2.data.table import LabelTables
from yolov2.detection.detections import Detections
from yolov2.evaluation.annotated import AnnotatedImages, annotated_images
from yolov2.evaluation.evaluate import (
    detect_images,
    evaluate_detections,
    require_classes,
    write_metrics,
)
from yolov2.evaluation.matches import match
from yolov2.evaluation.metrics import Evaluation
from yolov2.evaluation.report.files import write_report
from yolov2.evaluation.thresholds import best_thresholds, write_thresholds
from yolov2.runtime.model_file import open_model
from yolov2.runtime.thresholds import file_hash

VAL = "val"


def main() -> None:
    """Evaluate ``models/best.pt`` on ``evaluate.split``; write and log figures and pictures."""
    params = load()
    check_reachable(params.tracking)
    tables = LabelTables.read(paths.ARTIFACTS)
    check_split(tables, params.evaluate.split)
    root = read_description(Path(params.data.config)).root
    model = open_model(paths.BEST, params.train.device)
    require_classes(model, tables.class_names)

    def detections_of(annotated: AnnotatedImages) -> dict[int, Detections]:
        return detect_images(
            model,
            annotated,
            params.evaluate,
            num_workers=params.train.num_workers,
            progress=partial(tqdm, desc=annotated.split, disable=None, leave=False, unit="batch"),
            tell=print,
        )

    annotated = annotated_images(tables, params.evaluate.split, root)
    evaluated = evaluate_detections(annotated, detections_of(annotated), params.evaluate)
    evaluation = evaluated.evaluation
    write_metrics(evaluation, paths.METRICS)
    write_report(evaluated, paths.EVALUATE_REPORT, params.evaluate.pictures)
    matches = evaluation.matches
    if annotated.split != VAL:
        others = annotated_images(tables, VAL, root)
        matches = match(others.truth, detections_of(others), len(tables.class_names))
    best = best_thresholds(matches, tables.class_names)
    write_thresholds(paths.THRESHOLDS, best, VAL, file_hash(paths.BEST))
    print(describe(evaluation))
    _track(params, evaluation)


def describe(evaluation: Evaluation) -> str:
    """The figures as a few lines for people."""
    lines = [f"{evaluation.split}: {evaluation.images} images, {evaluation.boxes} boxes"]
    lines.append("  ".join(f"{name} {value:.3f}" for name, value in evaluation.stats.items()))
    for name, (low, high) in evaluation.intervals.items():
        lines.append(f"  {name} 95 % confidence interval {low:.3f} to {high:.3f}")
    lines += [f"  {text}" for text in [caution(evaluation.split)] if text]
    for name, values in evaluation.per_class.items():
        lines.append(f"  {name:20s} AP {values['AP']:.3f}  AP50 {values['AP50']:.3f}")
    return "\n".join(lines)


def _track(params: Params, evaluation: Evaluation) -> None:
    """One complete MLflow run of this evaluation; its id goes to ``evaluate_run.json``."""
    training_run: dict[str, Any] = json.loads(paths.TRAIN_RUN.read_text(encoding="utf-8"))
    run_id = log_evaluation(
        params.tracking,
        training_run=training_run,
        parameters=training_run["parameters"] | {"evaluate": asdict(params.evaluate)},
        metrics=evaluation.as_metrics(),
        artifacts=[paths.METRICS, *sorted(paths.EVALUATE_REPORT.rglob("*.*"))],
        identity=collect_identity("evaluate"),
    )
    record = {"run_id": run_id, "training_run_id": training_run["run_id"]}
    text = json.dumps(record, indent=2) + "\n"
    paths.EVALUATE_RUN.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)
