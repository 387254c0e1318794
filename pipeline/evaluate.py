"""Stage ``evaluate``: score the best checkpoint, write figures and tables, hand them over.

The score thresholds to detect with are found on the validation split, and never on the one that
is reported. The pictures are drawn from the tables by the stage ``report``.
"""

from dataclasses import asdict
from functools import partial

from tqdm import tqdm

from pipeline import paths
from pipeline.labels import Labels, read_labels
from pipeline.params.reading import read_section
from pipeline.running.entry import run_stage
from pipeline.running.files import read_json
from pipeline.running.recorder import store_checked
from pipeline.workspace.handover import Handover
from pipeline.workspace.inputs import Inputs
from yolov2.config.data import DataConfig
from yolov2.config.evaluate import EvaluateConfig
from yolov2.config.machine import MachineConfig
from yolov2.detection.detections import Detections
from yolov2.evaluation.annotated import AnnotatedImages, annotated_images
from yolov2.evaluation.evaluate import (
    EvaluatedCheckpoint,
    detect_images,
    evaluate_detections,
    require_classes,
    write_metrics,
)
from yolov2.evaluation.matches import match
from yolov2.evaluation.metrics import Evaluation
from yolov2.evaluation.optimism import caution
from yolov2.evaluation.report.tables import write_tables
from yolov2.evaluation.thresholds import best_thresholds, write_thresholds
from yolov2.files import file_sha256
from yolov2.network.device import use_threads
from yolov2.runtime.model_file import open_model

STAGE, VAL = "evaluate", "val"


def main() -> None:
    """Evaluate ``models/best.pt`` on ``evaluate.split``; write figures and tables."""
    inputs = Inputs.of(STAGE)
    config = read_section("evaluate", EvaluateConfig)
    data = read_section("data", DataConfig)
    machine = read_section("machine", MachineConfig)
    use_threads(machine.threads)
    with store_checked():
        labels = read_labels(data)
        labels.check_split(config.split)
        training = read_json(paths.TRAINING, "`dvc repro train`")
    sections = {"data": asdict(data), "evaluate": asdict(config), "machine": asdict(machine)}
    with Handover.of(STAGE, sections) as handover:
        evaluated = _evaluate(labels, config, machine)
        print(evaluation_line(evaluated.evaluation))
        inputs.require_unchanged()
        handover.done(
            training=training,
            metrics=evaluated.evaluation.as_metrics(),
            digest=file_sha256(paths.METRICS),
            files=[paths.METRICS, *sorted(paths.EVALUATE_REPORT.glob("*.*"))],
        )
    inputs.require_unchanged()  # what is recorded is true, but DVC would take the edit for it


def _evaluate(
    labels: Labels, config: EvaluateConfig, machine: MachineConfig
) -> EvaluatedCheckpoint:
    """Measure, and write what was measured."""
    model = open_model(paths.BEST, machine.device)
    require_classes(model, labels.tables.class_names)

    def detections_of(annotated: AnnotatedImages) -> dict[int, Detections]:
        return detect_images(
            model,
            annotated,
            config,
            num_workers=machine.num_workers,
            progress=partial(tqdm, desc=annotated.split, disable=None, leave=False, unit="batch"),
            tell=print,
        )

    annotated = annotated_images(labels.tables, config.split, labels.root)
    evaluated = evaluate_detections(annotated, detections_of(annotated), config)
    write_metrics(evaluated.evaluation, paths.METRICS)
    write_tables(evaluated, paths.EVALUATE_REPORT)
    matches = evaluated.evaluation.matches
    if annotated.split != VAL:
        others = annotated_images(labels.tables, VAL, labels.root)
        matches = match(others.truth, detections_of(others), len(labels.tables.class_names))
    best = best_thresholds(matches, labels.tables.class_names)
    write_thresholds(paths.THRESHOLDS, best, VAL, file_sha256(paths.BEST))
    return evaluated


def evaluation_line(evaluation: Evaluation) -> str:
    """The figures as a few lines for people."""
    lines = [f"{evaluation.split}: {evaluation.images} images, {evaluation.boxes} boxes"]
    lines.append("  ".join(f"{name} {value:.3f}" for name, value in evaluation.stats.items()))
    for name, (low, high) in evaluation.intervals.items():
        lines.append(f"  {name} 95 % confidence interval {low:.3f} to {high:.3f}")
    lines += [f"  {text}" for text in [caution(evaluation.split)] if text]
    for name, values in evaluation.per_class.items():
        lines.append(f"  {name:20s} AP {values['AP']:.3f}  AP50 {values['AP50']:.3f}")
    return "\n".join(lines)


if __name__ == "__main__":
    run_stage(main, options=False)
