"""A checkpoint measured on a split, and the report of it: figures, curves, pictures."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from yolov2.config import EvaluateConfig
from yolov2.data.dataset import Batch, DetectionDataset
from yolov2.data.images import read_image
from yolov2.data.loader import evaluation_loader
from yolov2.data.table import LabelTables
from yolov2.detection.detections import Detections, ground_truth
from yolov2.detection.draw import draw_comparison
from yolov2.detection.matching import MATCH_SCORE, ImageScore, confusion_samples
from yolov2.detection.metrics import Evaluation, evaluate
from yolov2.detection.plots import save_confusion_plot, save_pr_plot
from yolov2.detection.predict import predict
from yolov2.network.checkpoint import load_detector
from yolov2.network.decode import DecodedYOLOv2


@dataclass(frozen=True, kw_only=True)
class EvaluatedCheckpoint:
    """The figures of a checkpoint on a split, and the detections by image id behind them."""

    evaluation: Evaluation
    detections: Mapping[int, Detections]


def evaluate_checkpoint(
    weights: Path,
    tables: LabelTables,
    root: Path,
    config: EvaluateConfig,
    *,
    device: torch.device,
    num_workers: int = 0,
    progress: Callable[[Iterable[Batch]], Iterable[Batch]] = iter,
) -> EvaluatedCheckpoint:
    """Measure the network of a checkpoint on ``config.split`` of a data set.

    ``root`` is the folder that the table's image paths start from; ``progress`` wraps the
    batches, to show a bar.

    Raises:
        ValueError: the checkpoint has other classes than the data set, or the split has no
            images or no objects.
    """
    detector = load_detector(weights, device)
    if detector.class_names != tables.class_names:
        raise ValueError(
            f"{weights} was trained for the classes {_listed(detector.class_names)}, but the data "
            f"set has {_listed(tables.class_names)}: evaluate it on a data set with its classes"
        )
    ground_truth(tables, config.split)  # fails before the long run, not after it
    dataset = DetectionDataset(tables, root, config.split, detector.image_size)
    loader = evaluation_loader(dataset, batch_size=config.batch_size, num_workers=num_workers)
    network = DecodedYOLOv2(detector.network.to(memory_format=torch.channels_last))
    detections = predict(network, progress(loader), config, device)
    return EvaluatedCheckpoint(
        evaluation=evaluate(tables, config.split, detections), detections=detections
    )


def write_metrics(evaluation: Evaluation, path: Path) -> None:
    """Write ``metrics.json``: the twelve numbers, the split and its size, AP by class."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(evaluation.as_json(), indent=2, ensure_ascii=False)
    path.write_text(content + "\n", encoding="utf-8")


def write_report(
    evaluated: EvaluatedCheckpoint, tables: LabelTables, root: Path, folder: Path, pictures: int
) -> None:
    """Write the curves and the confusion matrix as CSV and PNG, and pictures of single images.

    ``pictures`` is their number: the better half are the best images, the rest the worst, in
    ``folder/images``.
    """
    evaluation = evaluated.evaluation
    names = list(evaluation.class_names)
    folder.mkdir(parents=True, exist_ok=True)
    evaluation.pr_curves.to_csv(folder / "pr_curve.csv", index=False)
    samples = confusion_samples(evaluation.confusion, names)
    samples.to_csv(folder / "confusion.csv", index=False)
    save_pr_plot(evaluation.pr_curves, evaluation.per_class, names, folder / "pr_curve.png")
    save_confusion_plot(evaluation.confusion, names, folder / "confusion.png")
    _write_pictures(evaluated, tables, root, folder / "images", pictures)


def best_and_worst(scores: list[ImageScore], pictures: int) -> dict[str, ImageScore]:
    """Up to ``pictures`` images to look at by file stem: ``best-1``, ..., ``worst-1``, ...

    ``scores`` come best first. No image appears twice.
    """
    pictures = min(pictures, len(scores))
    best = pictures - pictures // 2
    chosen = {f"best-{i}": score for i, score in enumerate(scores[:best], start=1)}
    worst = scores[::-1][: pictures // 2]
    return chosen | {f"worst-{i}": score for i, score in enumerate(worst, start=1)}


def _write_pictures(
    evaluated: EvaluatedCheckpoint, tables: LabelTables, root: Path, folder: Path, pictures: int
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("best-*.jpg"), *folder.glob("worst-*.jpg")):
        old.unlink()
    truth = ground_truth(tables, evaluated.evaluation.split)
    paths = dict(zip(tables.images["image_id"], tables.images["image"], strict=True))
    chosen = best_and_worst(evaluated.evaluation.image_scores, pictures)
    for stem, score in chosen.items():
        path = paths[score.image_id]
        picture = draw_comparison(
            read_image(root / path),
            truth[score.image_id],
            evaluated.detections[score.image_id].above(MATCH_SCORE),
            evaluated.evaluation.class_names,
            f"{Path(path).name}   F1 {score.f1:.2f}: {score.found} found, {score.missed} missed, "
            f"{score.false} false",
        )
        picture.save(folder / f"{stem}.jpg", quality=92)


def _listed(names: tuple[str, ...], limit: int = 8) -> str:
    """Class names for a sentence, shortened where there are many."""
    rest = f", ... ({len(names)} in all)" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest
