"""A model measured on annotated images: detect in all of them, or in a share, and judge."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from yolov2.config.evaluate import EvaluateConfig
from yolov2.config.section import require
from yolov2.data.batches.dataset import Batch, DetectionDataset
from yolov2.data.batches.loader import EvaluationLoader, Tell, silent
from yolov2.data.table import LabelTables
from yolov2.detection.detections import Detections
from yolov2.detection.predict import predict
from yolov2.evaluation.annotated import AnnotatedImages, annotated_images
from yolov2.evaluation.metrics import Evaluation, evaluate
from yolov2.files import write_json
from yolov2.runtime.model_file import OpenedModel, open_model


@dataclass(frozen=True, kw_only=True)
class EvaluatedCheckpoint:
    """The figures of a model on annotated images, and the detections by image id behind them."""

    evaluation: Evaluation
    detections: Mapping[int, Detections]
    annotated: AnnotatedImages


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Share ``number`` (from 1) of ``count`` of the images: every ``count``-th."""

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        require(
            1 <= self.number <= self.count,
            f"there is no shard {self.number}/{self.count}: the first of N is 1/N, the last N/N",
        )


ALL = Shard()


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
    """Measure the model of a file on ``config.split`` of a data set.

    ``root`` is the folder that the table's image paths start from; ``progress`` wraps the
    batches, to show a bar.

    Raises:
        ValueError: the model has other classes than the data set, or the split has no images or
            no objects.
    """
    model = open_model(weights, str(device))
    require_classes(model, tables.class_names)
    annotated = annotated_images(tables, config.split, root)
    detections = detect_images(model, annotated, config, num_workers=num_workers, progress=progress)
    return evaluate_detections(annotated, detections, config)


def require_classes(model: OpenedModel, class_names: tuple[str, ...]) -> None:
    """Raise ``ValueError`` if the model has other classes, or another order of them."""
    known = model.manifest.class_names
    require(
        known == class_names,
        f"{model.path} was trained for the classes {_listed(known)}, but the data set has"
        f" {_listed(class_names)}: evaluate it on a data set with its classes",
    )


def detect_images(
    model: OpenedModel,
    annotated: AnnotatedImages,
    config: EvaluateConfig,
    *,
    shard: Shard = ALL,
    num_workers: int = 0,
    progress: Callable[[Iterable[Batch]], Iterable[Batch]] = iter,
    tell: Tell = silent,
) -> dict[int, Detections]:
    """Detections by image id, with the thresholds of the reported average precision.

    ``tell`` gets what people should know: a loader worker that was replaced, and the like.

    Raises:
        ImageError: an image cannot be read.
        ValueError: ``annotated`` does not say where the image files are.
    """
    require(annotated.root is not None, "the folder of the image files is not given")
    assert annotated.root is not None
    dataset = DetectionDataset(
        annotated.without_labels(), annotated.root, annotated.split, model.manifest.image_size
    )
    loader = EvaluationLoader(
        dataset,
        batch_size=config.batch_size,
        num_workers=num_workers,
        rank=shard.number - 1,
        world=shard.count,
        tell=tell,
    )
    return predict(model.predict, progress(loader), config, model.device, tell)


def evaluate_detections(
    annotated: AnnotatedImages, detections: Mapping[int, Detections], config: EvaluateConfig
) -> EvaluatedCheckpoint:
    """Judge detections of every annotated image, with ``config.resamples`` for the intervals."""
    return EvaluatedCheckpoint(
        evaluation=evaluate(annotated, detections, resamples=config.resamples, seed=config.seed),
        detections=detections,
        annotated=annotated,
    )


def write_metrics(evaluation: Evaluation, path: Path) -> None:
    """Write ``metrics.json``: the twelve numbers, their intervals, errors, AP by class."""
    write_json(path, evaluation.as_json())


def _listed(names: tuple[str, ...], limit: int = 8) -> str:
    """Class names for a sentence, shortened where there are many."""
    rest = f", ... ({len(names)} in all)" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest
